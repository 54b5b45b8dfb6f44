package dev.satchel.linux.fuse;

/** Numbers of linux/fuse.h, protocol 7.31 (Linux 5.4) and the few later ones that are used where the kernel knows them. */
final class Protocol {
    static final int MAJOR = 7;
    static final int MINOR = 31;
    static final long ROOT_NODE = 1;

    // enum fuse_opcode
    static final int LOOKUP = 1;
    static final int FORGET = 2;
    static final int GETATTR = 3;
    static final int SETATTR = 4;
    static final int OPEN = 14;
    static final int READ = 15;
    static final int WRITE = 16;
    static final int STATFS = 17;
    static final int RELEASE = 18;
    static final int FSYNC = 20;
    static final int FLUSH = 25;
    static final int INIT = 26;
    static final int OPENDIR = 27;
    static final int READDIR = 28;
    static final int RELEASEDIR = 29;
    static final int FSYNCDIR = 30;
    static final int ACCESS = 34;
    static final int INTERRUPT = 36;
    static final int DESTROY = 38;
    static final int BATCH_FORGET = 42;
    static final int FALLOCATE = 43;

    // INIT flags
    static final int ASYNC_READ = 1;
    static final int BIG_WRITES = 1 << 5;
    static final int ASYNC_DIO = 1 << 15;
    static final int PARALLEL_DIROPS = 1 << 18;
    static final int ABORT_ERROR = 1 << 21;
    static final int MAX_PAGES = 1 << 22;
    static final int EXPLICIT_INVAL_DATA = 1 << 25;

    // OPEN reply flags
    static final int FOPEN_DIRECT_IO = 1;
    static final int FOPEN_KEEP_CACHE = 1 << 1;
    static final int FOPEN_CACHE_DIR = 1 << 3;
    static final int FOPEN_NOFLUSH = 1 << 5;
    static final int FOPEN_PARALLEL_DIRECT_WRITES = 1 << 6;

    static final int FATTR_SIZE = 1 << 3;

    static final int FALLOC_KEEP_SIZE = 1;
    static final int FALLOC_PUNCH_HOLE = 2;
    static final int FALLOC_ZERO_RANGE = 16;

    // Sizes of structures in bytes
    static final int IN_HEADER = 40;
    static final int WRITE_IN = 40;
    static final int OUT_HEADER = 16;
    static final int INIT_OUT = 64;
    static final int ATTR = 88;
    static final int DIRENT = 24;

    static final int S_IFDIR = 0040000;
    static final int S_IFREG = 0100000;
    static final int DT_DIR = 4;
    static final int DT_REG = 8;

    private Protocol() {}
}
