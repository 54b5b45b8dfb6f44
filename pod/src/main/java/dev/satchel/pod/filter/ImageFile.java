package dev.satchel.pod.filter;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/**
 * A file of CRIU's images: two magic numbers, then messages with their lengths before them, all little-endian (CRIU,
 * criu/include/magic.h and criu/protobuf.c). Only for those without other bytes between the messages.
 */
final class ImageFile {
    private static final int MAGIC_COMMON = 0x54564319;
    private static final int HEADER_BYTES = 8;
    private static final long FILE_BYTES_MAX = 256 << 20;

    private final Path file;
    private final byte[] bytes;
    private final List<Message> messages;

    private ImageFile(Path file, byte[] bytes, List<Message> messages) {
        this.file = file;
        this.bytes = bytes;
        this.messages = messages;
    }

    /** @param magic the second magic number, which tells what messages they are */
    static ImageFile read(Path file, int magic) throws IOException {
        if (Files.size(file) > FILE_BYTES_MAX) {
            throw new IOException(file + " is too large for an image without pages");
        }
        byte[] bytes = Files.readAllBytes(file);
        ByteBuffer in = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        if (bytes.length < HEADER_BYTES || in.getInt() != MAGIC_COMMON || in.getInt() != magic) {
            throw new IOException(file + " does not begin as the image of that name does");
        }
        String origin = file.toString();
        List<Message> messages = new ArrayList<>();
        while (in.hasRemaining()) {
            int length = in.remaining() < 4 ? -1 : in.getInt();
            if (length < 0 || length > in.remaining()) {
                throw new IOException(file + " is damaged: a message's length at byte " + in.position());
            }
            messages.add(new Message(origin, bytes, in.position(), in.position() + length));
            in.position(in.position() + length);
        }
        return new ImageFile(file, bytes, messages);
    }

    /** One with no messages yet, which is there only once it is written. */
    static ImageFile empty(Path file, int magic) {
        byte[] header = new byte[HEADER_BYTES];
        ByteBuffer.wrap(header)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putInt(MAGIC_COMMON)
                .putInt(magic);
        return new ImageFile(file, header, new ArrayList<>());
    }

    /** Adds a message without fields. */
    Message add() {
        Message message = new Message(file.toString(), bytes, bytes.length, bytes.length);
        messages.add(message);
        return message;
    }

    List<Message> messages() {
        return Collections.unmodifiableList(messages);
    }

    /** Writes the file anew if anything in it was changed. */
    void write() throws IOException {
        boolean changed = false;
        int size = HEADER_BYTES;
        for (Message message : messages) {
            changed |= message.changed();
            size += 4 + message.size();
        }
        if (!changed) {
            return;
        }
        byte[] out = new byte[size];
        System.arraycopy(bytes, 0, out, 0, HEADER_BYTES);
        ByteBuffer lengths = ByteBuffer.wrap(out).order(ByteOrder.LITTLE_ENDIAN);
        int at = HEADER_BYTES;
        for (Message message : messages) {
            int end = message.write(out, at + 4);
            lengths.putInt(at, end - at - 4);
            at = end;
        }
        Files.write(file, out);
    }
}
