/* shaders/lib/sum.glsl
 * Long sums of a matrix product go by blocks of PRODUCT_BLOCK elements: a block has a sum of
 * its own, in order, and is then added to the sum of the blocks before. What a large
 * element rounds away is lost for one block only, and errors grow with the block and the
 * number of blocks instead of with the length (docs/numerics.md has both measured).
 * Every matmul and matmul_back kernel does it alike, so they give the same bits; those of
 * rounded products (--products) do not. */
const int SUM_BLOCK4 = PRODUCT_BLOCK / 4;

/* Columns of a row of logits are summed in blocks of 16 vectors in the same way, so that a
 * vocabulary of 151,936 costs no accuracy. */
const int LOGITS_BLOCK4 = 16;
