/* A link between two network namespaces, with a round trip time and a rate: for kernels without sch_netem, and with a log of what passed.
 *
 *   link PID NAME RTT_MICROS BITS_PER_SECOND LOG
 *
 * Makes the TUN device NAME (tun(4), no packet information) in this network namespace and in that of process PID, says "ready" when both
 * are there, and carries packets until standard input ends. The caller gives them addresses and sets them up. In each direction a packet
 *   - enters a queue that holds as many bytes as the link carries in a round trip or in 50 ms, whichever is more; a packet that does not
 *     fit is dropped;
 *   - leaves it at the rate, one behind the other (a packet's first byte follows the last one's last);
 *   - arrives half a round trip later.
 * LOG gets for each packet, in the byte order of this machine: u64 nanoseconds of CLOCK_MONOTONIC when it entered, u64 when it arrived (0:
 * dropped), u32 bytes, headers of IP included, u32 direction (0: from this namespace to that of PID). It is written at once. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { PACKETS = 16384, LONGEST = 2048 };
static const int64_t SECOND = 1000000000;

struct record {
    uint64_t entered, arrived;
    uint32_t bytes, direction;
};

struct packet {
    int64_t entered, left, arrives;
    int bytes;
    char data[LONGEST];
};

struct direction {
    int from, to, log, number;
    int64_t delay, bits_per_second, queue_bytes;
    struct packet *packets; /* a ring: [first, first + count) */
    int first, count;
};

static _Noreturn void fail(const char *what) {
    perror(what);
    exit(1);
}

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * SECOND + t.tv_nsec;
}

static int tun(const char *name) {
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        fail("/dev/net/tun");
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    if (ioctl(fd, TUNSETIFF, &request) < 0)
        fail(name);
    return fd;
}

static void note(struct direction *d, int64_t entered, int64_t arrived, int bytes) {
    struct record record = {entered, arrived, bytes, d->number};
    if (write(d->log, &record, sizeof record) != sizeof record) /* O_APPEND: records of both directions stay whole */
        fail("log");
}

/* @return whether there was one */
static int take(struct direction *d, int64_t *busy_until) {
    struct packet *p = &d->packets[(d->first + d->count) % PACKETS];
    p->bytes = read(d->from, p->data, LONGEST);
    if (p->bytes < 0) {
        if (errno != EAGAIN && errno != EINTR)
            fail("read");
        return 0;
    }
    p->entered = now();
    int64_t start = *busy_until > p->entered ? *busy_until : p->entered;
    int64_t waiting = (start - p->entered) * d->bits_per_second / 8 / SECOND;
    if (waiting + p->bytes > d->queue_bytes || d->count == PACKETS - 1) {
        note(d, p->entered, 0, p->bytes);
        return 1;
    }
    p->left = *busy_until = start + p->bytes * 8 * SECOND / d->bits_per_second;
    p->arrives = p->left + d->delay;
    d->count++;
    return 1;
}

static _Noreturn void *carry(void *argument) {
    struct direction *d = argument;
    int64_t busy_until = 0;
    prctl(PR_SET_TIMERSLACK, 1);
    for (;;) {
        while (d->count && d->packets[d->first].arrives <= now()) {
            struct packet *p = &d->packets[d->first];
            if (write(d->to, p->data, p->bytes) != p->bytes && errno != EIO && errno != EINVAL && errno != ENOBUFS)
                fail("write");
            note(d, p->entered, now(), p->bytes);
            d->first = (d->first + 1) % PACKETS;
            d->count--;
        }
        if (take(d, &busy_until))
            continue;
        struct pollfd input = {d->from, POLLIN, 0};
        struct timespec *timeout = NULL, wait;
        if (d->count) {
            int64_t left = d->packets[d->first].arrives - now();
            wait.tv_sec = left > 0 ? left / SECOND : 0;
            wait.tv_nsec = left > 0 ? left % SECOND : 0;
            timeout = &wait;
        }
        if (ppoll(&input, 1, timeout, NULL) < 0 && errno != EINTR)
            fail("ppoll");
    }
}

int main(int count, char **arguments) {
    if (count != 6) {
        fprintf(stderr, "usage: link PID NAME RTT_MICROS BITS_PER_SECOND LOG\n");
        return 2;
    }
    int64_t delay = atoll(arguments[3]) * 1000 / 2, rate = atoll(arguments[4]);
    int64_t held = 2 * delay > SECOND / 20 ? 2 * delay : SECOND / 20;
    int log = open(arguments[5], O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    if (log < 0)
        fail(arguments[5]);
    int here = tun(arguments[2]);
    char name[64];
    snprintf(name, sizeof name, "/proc/%s/ns/net", arguments[1]);
    int namespace = open(name, O_RDONLY | O_CLOEXEC);
    if (namespace < 0 || setns(namespace, CLONE_NEWNET) < 0)
        fail(name);
    int there = tun(arguments[2]);
    static struct direction directions[2];
    for (int i = 0; i < 2; i++) {
        directions[i] = (struct direction){
            .from = i ? there : here, .to = i ? here : there, .log = log, .number = i, .delay = delay,
            .bits_per_second = rate, .queue_bytes = rate / 8 * held / SECOND, .packets = calloc(PACKETS, sizeof(struct packet))};
        pthread_t thread;
        if (!directions[i].packets || pthread_create(&thread, NULL, carry, &directions[i]))
            fail("memory");
    }
    puts("ready");
    fflush(stdout);
    while (read(0, name, sizeof name) > 0)
        ;
    return 0;
}
