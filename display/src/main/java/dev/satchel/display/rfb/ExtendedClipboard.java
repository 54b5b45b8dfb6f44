package dev.satchel.display.rfb;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import java.util.zip.DataFormatException;
import java.util.zip.Deflater;
import java.util.zip.Inflater;

/** What cut-text messages of negative length have in them (rfbproto, "Extended Clipboard Pseudo-Encoding"): of all formats, text. */
final class ExtendedClipboard {
    /** Of text, and of any message that has it. */
    static final int BYTES_MAX = 1 << 20;

    static final int TEXT = 1;
    static final int CAPS = 1 << 24;
    static final int REQUEST = 1 << 25;
    static final int PEEK = 1 << 26;
    static final int NOTIFY = 1 << 27;
    static final int PROVIDE = 1 << 28;

    private static final int SERVER_CUT_TEXT = 3;
    private static final int FORMATS = 0xffff;

    private ExtendedClipboard() {}

    /** What this server does: it sends text only when asked for it. */
    static byte[] caps() {
        return begin(8).putInt(TEXT | CAPS | REQUEST | PEEK | NOTIFY | PROVIDE)
                .putInt(BYTES_MAX)
                .array();
    }

    /** @param there whether there is text */
    static byte[] announce(boolean there) {
        return begin(4).putInt(NOTIFY | (there ? TEXT : 0)).array();
    }

    static byte[] request() {
        return begin(4).putInt(REQUEST | TEXT).array();
    }

    static byte[] provide(String text) {
        byte[] bytes = withCarriageReturns(text).getBytes(StandardCharsets.UTF_8);
        ByteBuffer content = ByteBuffer.allocate(4 + bytes.length + 1);
        content.putInt(bytes.length + 1).put(bytes);
        byte[] compressed = new byte[content.capacity() + (content.capacity() >> 8) + 128];
        int length;
        Deflater deflater = new Deflater(Deflater.BEST_SPEED);
        try {
            deflater.setInput(content.array());
            deflater.finish();
            length = deflater.deflate(compressed);
        } finally {
            deflater.end();
        }
        return begin(4 + length)
                .putInt(PROVIDE | TEXT)
                .put(compressed, 0, length)
                .array();
    }

    private static ByteBuffer begin(int length) {
        return ByteBuffer.allocate(8 + length).putInt(SERVER_CUT_TEXT << 24).putInt(-length);
    }

    /** What formats are spoken of in a client's message, and what is done with them. */
    static boolean isOfText(int flags) {
        return (flags & FORMATS & TEXT) != 0;
    }

    /**
     * The text of a client's PROVIDE.
     *
     * @param compressed what follows the flags
     * @return empty if there is none that can be taken
     */
    static Optional<String> provided(ByteBuffer compressed) {
        byte[] content = new byte[4];
        Inflater inflater = new Inflater();
        try {
            inflater.setInput(compressed);
            if (!inflate(inflater, content)) {
                return Optional.empty();
            }
            int length = ByteBuffer.wrap(content).getInt();
            if (length < 0 || length > BYTES_MAX) {
                return Optional.empty();
            }
            content = new byte[length];
            if (!inflate(inflater, content)) {
                return Optional.empty();
            }
        } catch (DataFormatException e) {
            return Optional.empty();
        } finally {
            inflater.end();
        }
        int length = content.length;
        if (length > 0 && content[length - 1] == 0) {
            length--;
        }
        try {
            return Optional.of(withoutCarriageReturns(StandardCharsets.UTF_8
                    .newDecoder()
                    .onMalformedInput(CodingErrorAction.REPORT)
                    .decode(ByteBuffer.wrap(content, 0, length))
                    .toString()));
        } catch (CharacterCodingException e) {
            return Optional.empty();
        }
    }

    private static boolean inflate(Inflater inflater, byte[] into) throws DataFormatException {
        int at = 0;
        while (at < into.length) {
            int count = inflater.inflate(into, at, into.length - at);
            if (count == 0) {
                return false;
            }
            at += count;
        }
        return true;
    }

    private static String withCarriageReturns(String text) {
        return withoutCarriageReturns(text).replace("\n", "\r\n");
    }

    static String withoutCarriageReturns(String text) {
        return text.replace("\r\n", "\n").replace('\r', '\n');
    }
}
