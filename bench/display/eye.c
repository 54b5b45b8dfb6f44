/* Looks at a screen in shared memory (rows of 32-bit pixels) as often as every millisecond: a shared library, called from Python. The
 * highest byte of a pixel means nothing. Times are nanoseconds of CLOCK_MONOTONIC. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct area {
    const volatile uint32_t *pixels; /* the screen's upper left */
    int stride;                      /* pixels from row to row */
    int x, y, width, height;
    int step; /* only every such row is looked at */
};

static const int64_t SECOND = 1000000000;

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * SECOND + t.tv_nsec;
}

static void doze(int64_t nanos) {
    struct timespec t = {nanos / SECOND, nanos % SECOND};
    nanosleep(&t, NULL);
}

static int rows(const struct area *a) { return (a->height + a->step - 1) / a->step; }

void eye_copy(const struct area *a, uint32_t *into) {
    for (int i = 0; i < rows(a); i++)
        memcpy(into + (size_t)i * a->width, (const uint32_t *)a->pixels + (size_t)(a->y + i * a->step) * a->stride + a->x, 4 * (size_t)a->width);
}

/* @return how many pixels are not as in the copy */
int eye_differ(const struct area *a, const uint32_t *copy) {
    int differ = 0;
    for (int i = 0; i < rows(a); i++) {
        const uint32_t *row = (const uint32_t *)a->pixels + (size_t)(a->y + i * a->step) * a->stride + a->x;
        const uint32_t *old = copy + (size_t)i * a->width;
        if (memcmp(row, old, 4 * (size_t)a->width))
            for (int x = 0; x < a->width; x++)
                differ += ((row[x] ^ old[x]) & 0xffffff) != 0;
    }
    return differ;
}

/* Waits until as many pixels differ from the copy (fewer: below 0 and as -limit - 1). @return when, or 0: not before the deadline */
int64_t eye_until(const struct area *a, const uint32_t *copy, int limit, int64_t deadline, int64_t interval) {
    for (;;) {
        int64_t at = now();
        int differ = eye_differ(a, copy);
        if (limit >= 0 ? differ >= limit : differ <= -limit - 1)
            return at;
        if (at > deadline)
            return 0;
        doze(interval);
    }
}

/* Notes when the area changed until nothing did for `quiet`, or until the deadline. @return how many changes; the first `size` of their
 * times are in `times`, and how many pixels each changed in `counts` */
int eye_changes(const struct area *a, int64_t quiet, int64_t deadline, int64_t interval, int64_t *times, int *counts, int size) {
    uint32_t *copy = malloc((size_t)rows(a) * a->width * 4);
    eye_copy(a, copy);
    int changes = 0;
    int64_t last = now();
    for (;;) {
        int64_t at = now();
        int differ = eye_differ(a, copy);
        if (differ) {
            eye_copy(a, copy);
            last = at;
            if (changes < size) {
                times[changes] = at;
                counts[changes] = differ;
            }
            changes++;
        }
        if (at - last > quiet || at > deadline)
            break;
        doze(interval);
    }
    free(copy);
    return changes;
}

/* Reads a number from blocks of light (1) and dark (0), lowest bit first, `size` pixels wide and high each from (x, y) to the right:
 * whenever it is another one, it and the time are noted. @return how many */
int eye_numbers(const struct area *a, int bits, int size, int64_t deadline, int64_t interval, int *numbers, int64_t *times, int most) {
    int found = 0, last = -1;
    for (;;) {
        int64_t at = now();
        int number = 0, ones = 0;
        for (int i = 0; i < bits; i++) {
            uint32_t p = a->pixels[(size_t)(a->y + size / 2) * a->stride + a->x + i * size + size / 2];
            int light = ((p >> 16 & 255) + (p >> 8 & 255) + (p & 255)) > 384;
            number |= light << i;
            ones += light;
        }
        number &= (1 << (bits - 1)) - 1; /* the highest only makes the number of ones even */
        if (ones % 2 == 0 && number != last) {
            last = number;
            if (found < most) {
                numbers[found] = number;
                times[found] = at;
                found++;
            }
        }
        if (at > deadline)
            return found;
        doze(interval);
    }
}
