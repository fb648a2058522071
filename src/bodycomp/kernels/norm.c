/* Batch norm and activation in as few passes over memory as there can be.
 *
 * Rows are the pixels of a channels-last feature map; `ld` is the distance of two rows in values. */
#include "sums.h"

#define T_BF16
#include "norm_rows.h"
#undef T_BF16
#include "norm_rows.h"
