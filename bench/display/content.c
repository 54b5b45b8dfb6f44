/* Makes what is shown: pictures as photographs are (light that changes slowly, edges, noise), the same each time.
 *
 *   content picture SEED WIDTH HEIGHT FILE    a JPEG of quality 80
 *   content clip SECONDS FILE                 24 frames a second of 512×384, motion JPEG in AVI. Along its upper edge each frame has its
 *                                             number as 11 light and dark blocks of 16×16: 10 bits, lowest first, and one that makes the
 *                                             number of light ones even. */
#include <dlfcn.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLIP_WIDTH = 512, CLIP_HEIGHT = 384, RATE = 24, BITS = 11, BLOCK = 16, QUALITY = 80 };

/* From turbojpeg.h, version 2: the library comes with what Satchel needs, its header does not. */
enum { TJPF_RGB = 0, TJSAMP_420 = 2 };
static void *(*init_compress)(void);
static int (*compress)(void *, const unsigned char *, int, int, int, int, unsigned char **, unsigned long *, int, int, int);
static void *compressor;

static uint32_t state;

static uint32_t next(void) {
    state ^= state << 13;
    state ^= state >> 17;
    return state ^= state << 5;
}

static double part(void) { return next() / 4294967296.0; }

struct blob {
    double x, y, radius, red, green, blue;
};

static void draw(unsigned char *pixels, int width, int height, const struct blob *blobs, int count, double shift) {
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            double red = 60 + 80.0 * y / height, green = 90 + 60.0 * x / width, blue = 150 - 90.0 * y / height;
            for (int i = 0; i < count; i++) {
                const struct blob *b = &blobs[i];
                double dx = x - (b->x + shift * (i % 3 - 1)) * width, dy = y - (b->y + shift * (i % 2)) * height;
                double d = (dx * dx + dy * dy) / (b->radius * b->radius * width * width);
                if (i % 3 == 0 ? d < 1 : d < 4) { /* every third has an edge, the others fade */
                    double much = i % 3 == 0 ? 0.8 : exp(-d);
                    red += much * (b->red - red);
                    green += much * (b->green - green);
                    blue += much * (b->blue - blue);
                }
            }
            double noise = (next() >> 24) / 16.0 - 8;
            unsigned char *p = pixels + 3 * ((size_t)y * width + x);
            p[0] = fmin(255, fmax(0, red + noise));
            p[1] = fmin(255, fmax(0, green + noise));
            p[2] = fmin(255, fmax(0, blue + noise));
        }
}

static void choose(struct blob *blobs, int count) {
    for (int i = 0; i < count; i++)
        blobs[i] = (struct blob){part(), part(), 0.04 + 0.16 * part(), 255 * part(), 255 * part(), 255 * part()};
}

static unsigned long encode(const unsigned char *pixels, int width, int height, unsigned char **out) {
    unsigned long size = 0;
    *out = NULL;
    if (compress(compressor, pixels, width, 0, height, TJPF_RGB, out, &size, TJSAMP_420, QUALITY, 0)) {
        fprintf(stderr, "content: libturbojpeg does not encode\n");
        exit(1);
    }
    return size;
}

static FILE *file;

static void four(const char *name) { fwrite(name, 1, 4, file); }

static void u32(uint32_t value) { fwrite(&value, 4, 1, file); }

static void u16(uint16_t value) { fwrite(&value, 2, 1, file); }

/* AVI, the RIFF file of Microsoft's "AVI RIFF File Reference": one stream, with an index. */
static void clip(int seconds) {
    int frames = seconds * RATE;
    unsigned char *pixels = malloc(3 * CLIP_WIDTH * CLIP_HEIGHT), **coded = calloc(frames, sizeof *coded);
    unsigned long *sizes = calloc(frames, sizeof *sizes), data = 4;
    struct blob blobs[9];
    choose(blobs, 9);
    for (int i = 0; i < frames; i++) {
        draw(pixels, CLIP_WIDTH, CLIP_HEIGHT, blobs, 9, 0.25 * sin(i / 20.0));
        int ones = 0;
        for (int bit = 0; bit < BITS; bit++) {
            int light = bit < BITS - 1 ? i >> bit & 1 : ones & 1;
            ones += light;
            for (int y = 0; y < BLOCK; y++)
                memset(pixels + 3 * (y * CLIP_WIDTH + bit * BLOCK), light ? 235 : 20, 3 * BLOCK);
        }
        sizes[i] = encode(pixels, CLIP_WIDTH, CLIP_HEIGHT, &coded[i]);
        data += 8 + (sizes[i] + 1) / 2 * 2;
    }
    four("RIFF"), u32(4 + 8 + 4 + 8 + 56 + 8 + 4 + 8 + 56 + 8 + 40 + 8 + data + 8 + 16 * frames), four("AVI ");
    four("LIST"), u32(4 + 8 + 56 + 8 + 4 + 8 + 56 + 8 + 40), four("hdrl");
    four("avih"), u32(56), u32(1000000 / RATE), u32(0), u32(0), u32(0x10), u32(frames), u32(0), u32(1), u32(0);
    u32(CLIP_WIDTH), u32(CLIP_HEIGHT), u32(0), u32(0), u32(0), u32(0);
    four("LIST"), u32(4 + 8 + 56 + 8 + 40), four("strl");
    four("strh"), u32(56), four("vids"), four("MJPG"), u32(0), u32(0), u32(0), u32(1), u32(RATE), u32(0), u32(frames), u32(0);
    u32(0), u32(0), u16(0), u16(0), u16(CLIP_WIDTH), u16(CLIP_HEIGHT);
    four("strf"), u32(40), u32(40), u32(CLIP_WIDTH), u32(CLIP_HEIGHT), u16(1), u16(24), four("MJPG"), u32(3 * CLIP_WIDTH * CLIP_HEIGHT);
    u32(0), u32(0), u32(0), u32(0);
    four("LIST"), u32(data), four("movi");
    for (int i = 0; i < frames; i++) {
        four("00dc"), u32(sizes[i]);
        fwrite(coded[i], 1, (sizes[i] + 1) / 2 * 2, file); /* libturbojpeg's buffers are larger than what is in them */
    }
    four("idx1"), u32(16 * frames);
    for (int i = 0, at = 4; i < frames; at += 8 + (sizes[i++] + 1) / 2 * 2)
        four("00dc"), u32(0x10), u32(at), u32(sizes[i]);
}

static void picture(int seed, int width, int height) {
    unsigned char *pixels = malloc(3 * (size_t)width * height), *coded;
    struct blob blobs[14];
    state = 2463534242u ^ (uint32_t)seed * 2654435761u;
    choose(blobs, 14);
    draw(pixels, width, height, blobs, 14, 0);
    unsigned long size = encode(pixels, width, height, &coded);
    fwrite(coded, 1, size, file);
}

int main(int count, char **arguments) {
    void *library = dlopen("libturbojpeg.so.0", RTLD_NOW);
    if (!library || count < 4) {
        fprintf(stderr, "content: %s\n", library ? "see its source for how to call it" : dlerror());
        return 2;
    }
    *(void **)&init_compress = dlsym(library, "tjInitCompress");
    *(void **)&compress = dlsym(library, "tjCompress2");
    compressor = init_compress();
    state = 88172645;
    file = fopen(arguments[count - 1], "wb");
    if (!file) {
        perror(arguments[count - 1]);
        return 1;
    }
    if (!strcmp(arguments[1], "picture") && count == 6)
        picture(atoi(arguments[2]), atoi(arguments[3]), atoi(arguments[4]));
    else if (!strcmp(arguments[1], "clip") && count == 4)
        clip(atoi(arguments[2]));
    else
        return 2;
    return fclose(file) != 0;
}
