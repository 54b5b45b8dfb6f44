/* Times system calls that virtualization could make slower. Prints a line {"call": name, "ns": nanoseconds a call} each: the least of
 * several rounds, as everything else that a machine does only adds. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 3 };

static int pipe_fds[2];

static void check(long result, const char *what) {
    if (result < 0) {
        perror(what);
        exit(1);
    }
}

static void get_pid(void) { check(syscall(SYS_getpid), "getpid"); }

static void ioctl_fionread(void) {
    int waiting;
    check(ioctl(pipe_fds[0], FIONREAD, &waiting), "ioctl");
}

static void shmget_shmctl(void) {
    int id = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);
    check(id, "shmget");
    check(shmctl(id, IPC_RMID, NULL), "shmctl");
}

static void semget_semctl(void) {
    int id = semget(IPC_PRIVATE, 1, IPC_CREAT | 0600);
    check(id, "semget");
    check(semctl(id, 0, IPC_RMID), "semctl");
}

static void fork_exit(void) {
    pid_t pid = fork();
    check(pid, "fork");
    if (pid == 0) _exit(0);
    check(waitpid(pid, NULL, 0), "waitpid");
}

static void fork_sh(void) {
    pid_t pid = fork();
    check(pid, "fork");
    if (pid == 0) {
        execl("/bin/sh", "sh", "-c", ":", (char *)NULL);
        _exit(127);
    }
    check(waitpid(pid, NULL, 0), "waitpid");
}

static const struct {
    const char *name;
    void (*call)(void);
    int times;
} calls[] = {
    {"getpid", get_pid, 400000},       {"ioctl FIONREAD", ioctl_fionread, 400000}, {"shmget+shmctl", shmget_shmctl, 10000},
    {"semget+semctl", semget_semctl, 20000}, {"fork+exit", fork_exit, 400},        {"fork+sh", fork_sh, 100},
};

static double now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e9 + time.tv_nsec;
}

int main(void) {
    check(pipe(pipe_fds), "pipe");
    for (unsigned c = 0; c < sizeof calls / sizeof *calls; c++) {
        double least = 0;
        for (int round = 0; round < ROUNDS; round++) {
            double start = now_ns();
            for (int i = 0; i < calls[c].times; i++) calls[c].call();
            double each = (now_ns() - start) / calls[c].times;
            if (round == 0 || each < least) least = each;
        }
        printf("{\"call\": \"%s\", \"ns\": %.1f}\n", calls[c].name, least);
    }
    return 0;
}
