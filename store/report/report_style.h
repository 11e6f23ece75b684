/* store/report/report_style.h
 * The page's only style and its only script, both admitted by hash. Without the script
 * everything is there; it filters the list of problems and keeps the filter in the URL. */
#ifndef STORE_REPORT_REPORT_STYLE_H
#define STORE_REPORT_REPORT_STYLE_H

/* Pieces that follow each other, a null at the end. */
extern const char *const report_style[], *const report_script[];

#endif
