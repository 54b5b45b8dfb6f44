package dev.satchel.linux;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/**
 * The names in a directory, getdents64(2): in UTF-8 whatever the locale of this process is, which decides what Java's own can name.
 *
 * @param names in no order, without {@code .} and {@code ..}; what is not UTF-8 is left out
 * @param whole whether that is all
 */
public record DirectoryNames(List<String> names, boolean whole) {
    private static final MemorySegment SYSCALL = Libc.function("syscall");
    private static final int SYS_GETDENTS64 = "aarch64".equals(System.getProperty("os.arch")) ? 61 : 217;
    private static final int BUFFER_BYTES = 32 << 10;
    /** struct linux_dirent64: u64 inode, s64 offset, u16 length of all, u8 type, then the name, ended by a NUL. */
    private static final int LENGTH_AT = 16;

    private static final int NAME_AT = 19;

    public DirectoryNames {
        names = List.copyOf(names);
    }

    /**
     * Reads from where the descriptor stands; once, therefore.
     *
     * @param directory open for reading
     * @param namesMax there are more of no use
     */
    public static DirectoryNames read(Fd directory, int namesMax) throws LinuxException {
        List<String> names = new ArrayList<>();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(BUFFER_BYTES, 8);
            while (true) {
                long count = Libc.callWith(
                        buffer, SYSCALL, SYS_GETDENTS64, directory.number(), buffer.address(), BUFFER_BYTES, 0, 0);
                if (count < 0) {
                    throw new LinuxException("getdents64(" + directory + ")", Libc.errno());
                }
                if (count == 0) {
                    return new DirectoryNames(names, true);
                }
                for (long at = 0; at < count; ) {
                    int length = buffer.get(JAVA_SHORT, at + LENGTH_AT) & 0xffff;
                    String name = name(buffer.asSlice(at + NAME_AT, length - NAME_AT));
                    at += length;
                    if (name.isEmpty() || name.equals(".") || name.equals("..")) {
                        continue;
                    }
                    if (names.size() == namesMax) {
                        return new DirectoryNames(names, false);
                    }
                    names.add(name);
                }
            }
        }
    }

    /** @return empty if it is not UTF-8 */
    private static String name(MemorySegment padded) {
        int length = 0;
        while (length < padded.byteSize() && padded.get(JAVA_BYTE, length) != 0) {
            length++;
        }
        try {
            return StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(padded.asSlice(0, length).asByteBuffer())
                    .toString();
        } catch (CharacterCodingException e) {
            return "";
        }
    }
}
