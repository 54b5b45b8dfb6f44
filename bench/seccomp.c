/* What a seccomp filter costs a system call, whatever is in it: nanoseconds of a getpid(2), medians by turns, with no filter; with one that
 * allows everything, which the kernel answers from its bitmap of constant actions (seccomp(2), Linux 5.11) without running it; with two of
 * them; and with one that looks at an argument, which it has to run. For bench/reasons.md: cc -O2 -o seccomp bench/seccomp.c && ./seccomp */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TURNS = 15, CALLS = 400000 };

static void check(long result, const char *what) {
    if (result < 0) {
        perror(what);
        exit(1);
    }
}

static void install(struct sock_filter *instructions, unsigned short count) {
    struct sock_fprog program = {count, instructions};
    check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl");
    check(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program), "seccomp");
}

static void none(void) {}

static void allow(void) {
    struct sock_filter all[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    install(all, 1);
}

static void allow_twice(void) {
    allow();
    allow();
}

static void look_at_argument(void) {
    struct sock_filter look[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x12345, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    install(look, 4);
}

static const struct {
    const char *name;
    void (*install)(void);
} filters[] = {{"none", none}, {"allow", allow}, {"allow, twice", allow_twice}, {"looks at an argument", look_at_argument}};

enum { FILTERS = sizeof filters / sizeof *filters };

static double now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e9 + time.tv_nsec;
}

static int compare(const void *a, const void *b) {
    double difference = *(const double *)a - *(const double *)b;
    return (difference > 0) - (difference < 0);
}

int main(void) {
    double (*each)[TURNS] =
        mmap(NULL, sizeof(double[FILTERS][TURNS]), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (each == MAP_FAILED) check(-1, "mmap");
    for (int turn = 0; turn < TURNS; turn++) {
        for (int f = 0; f < FILTERS; f++) {
            pid_t pid = fork(); /* a filter stays for life */
            check(pid, "fork");
            if (pid == 0) {
                filters[f].install();
                double start = now_ns();
                for (int i = 0; i < CALLS; i++) syscall(SYS_getpid);
                each[f][turn] = (now_ns() - start) / CALLS;
                _exit(0);
            }
            check(waitpid(pid, NULL, 0), "waitpid");
        }
    }
    for (int f = 0; f < FILTERS; f++) {
        qsort(each[f], TURNS, sizeof(double), compare);
        printf("%-22s %.1f\n", filters[f].name, each[f][TURNS / 2]);
    }
    return 0;
}
