package dev.satchel.display.rfb;

import dev.satchel.display.Rectangle;

/** What a client wants of the thread that sends; carried out in the order in which it came (rfbproto, "Fence"). */
@SuppressWarnings("ArrayRecordComponent") // nobody compares them
sealed interface Order {
    record Format(PixelFormat format) implements Order {}

    record Encodings(ClientEncodings encodings) implements Order {}

    record Request(boolean incremental, Rectangle area) implements Order {}

    record Continuous(boolean enable, Rectangle area) implements Order {}

    /** The client's own fence, to be answered. */
    record Fence(int flags, byte[] payload) implements Order {}

    /** It asked for another size, which may come to be. */
    record Resize(int width, int height) implements Order {}

    /** It asked for another size and will not get it. */
    record ResizeRefused(int status) implements Order {}

    /** What it can do by extended clipboard messages. */
    record ClipboardActions(int flags) implements Order {}

    /** It wants the text. */
    record ClipboardText() implements Order {}

    /** It wants to know whether there is text. */
    record ClipboardPeek() implements Order {}

    /** It has text: of no consequence but that it is to be asked for it. */
    record ClipboardOffered() implements Order {}
}
