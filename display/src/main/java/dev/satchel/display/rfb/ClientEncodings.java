package dev.satchel.display.rfb;

/**
 * What a client has said it understands (RFC 6143 §7.5.2, rfbproto).
 *
 * @param picture the first that it named of those that this server has
 * @param quality of JPEG, 0 to 9; negative: none
 * @param level of compression, 0 to 9
 */
record ClientEncodings(
        int picture,
        boolean copies,
        boolean cursor,
        boolean alphaCursor,
        boolean desktopSize,
        boolean extendedDesktopSize,
        boolean desktopName,
        boolean continuousUpdates,
        boolean fences,
        boolean extendedClipboard,
        boolean extendedButtons,
        int quality,
        int level) {
    static final int COPY_RECT = 1;
    static final int DESKTOP_SIZE = -223;
    static final int CURSOR = -239;
    static final int DESKTOP_NAME = -307;
    static final int EXTENDED_DESKTOP_SIZE = -308;
    static final int FENCE = -312;
    static final int CONTINUOUS_UPDATES = -313;
    static final int CURSOR_WITH_ALPHA = -314;
    static final int EXTENDED_MOUSE_BUTTONS = -316;
    static final int EXTENDED_CLIPBOARD = 0xc0a1e5ce;

    private static final int QUALITY_0 = -32;
    private static final int LEVEL_0 = -256;
    private static final int LEVEL_DEFAULT = 2;

    /** Of a client that has said nothing. */
    static final ClientEncodings NONE = of();

    /** @param numbers in the client's order */
    static ClientEncodings of(int... numbers) {
        int picture = -1;
        int quality = -1;
        int level = LEVEL_DEFAULT;
        for (int number : numbers) {
            boolean known =
                    number == RawEncoder.NUMBER || number == TightEncoder.NUMBER || number == ZrleEncoder.NUMBER;
            if (known && picture < 0) {
                picture = number;
            }
            if (number >= QUALITY_0 && number < QUALITY_0 + 10) {
                quality = number - QUALITY_0;
            }
            if (number >= LEVEL_0 && number < LEVEL_0 + 10) {
                level = number - LEVEL_0;
            }
        }
        return new ClientEncodings(
                Math.max(picture, RawEncoder.NUMBER),
                has(COPY_RECT, numbers),
                has(CURSOR, numbers),
                has(CURSOR_WITH_ALPHA, numbers),
                has(DESKTOP_SIZE, numbers),
                has(EXTENDED_DESKTOP_SIZE, numbers),
                has(DESKTOP_NAME, numbers),
                // Only with fences can what is on its way be bounded.
                has(CONTINUOUS_UPDATES, numbers) && has(FENCE, numbers),
                has(FENCE, numbers),
                has(EXTENDED_CLIPBOARD, numbers),
                has(EXTENDED_MOUSE_BUTTONS, numbers),
                quality,
                level);
    }

    private static boolean has(int number, int[] numbers) {
        for (int each : numbers) {
            if (each == number) {
                return true;
            }
        }
        return false;
    }

    /** Whether moving pictures may be sent inexactly. */
    boolean video() {
        return picture == TightEncoder.NUMBER && quality >= 0;
    }
}
