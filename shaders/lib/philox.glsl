/* shaders/lib/philox.glsl
 * Philox 4x32-10, first word; the same as runtime/base/philox.h (source there). */
uint philox_word(uvec4 c, uvec2 k)
{
    for (int i = 0; i < 10; i++) {
        uint ah, al, bh, bl;
        umulExtended(0xD2511F53u, c.x, ah, al);
        umulExtended(0xCD9E8D57u, c.z, bh, bl);
        c = uvec4(bh ^ c.y ^ k.x, bl, ah ^ c.w ^ k.y, al);
        k += uvec2(0x9E3779B9u, 0xBB67AE85u);
    }
    return c.x;
}
