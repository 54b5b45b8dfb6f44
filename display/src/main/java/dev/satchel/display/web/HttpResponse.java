package dev.satchel.display.web;

import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.time.LocalDateTime;
import java.time.ZoneOffset;

/** An answer on its way out (RFC 9112). Not thread-safe. */
final class HttpResponse {
    private static final int COPY_BYTES = 16 << 10;
    private static final String DAYS = "MonTueWedThuFriSatSun";
    private static final String MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec";

    private final StringBuilder head = new StringBuilder(768);

    /** @param host of the request, which was checked: the page's own WebSocket is there, which not every browser counts as 'self' */
    HttpResponse(int status, String host, boolean secure) {
        head.append("HTTP/1.1 ")
                .append(status)
                .append(' ')
                .append(reason(status))
                .append("\r\n");
        if (status == 101) {
            return;
        }
        header("Date", date());
        header("X-Content-Type-Options", "nosniff");
        header("Referrer-Policy", "no-referrer");
        header("Cross-Origin-Resource-Policy", "same-origin");
        header("Cross-Origin-Opener-Policy", "same-origin");
        header(
                "Content-Security-Policy",
                "default-src 'self'; img-src 'self' blob: data:; connect-src 'self'"
                        + (host.isEmpty() ? "" : (secure ? " wss://" : " ws://") + host)
                        + "; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
    }

    /** @param value without line ends */
    HttpResponse header(String name, String value) {
        head.append(name).append(": ").append(value).append("\r\n");
        return this;
    }

    void send(OutputStream out, byte[] body, boolean withBody) throws IOException {
        header("Content-Length", Integer.toString(body.length));
        byte[] start = head.append("\r\n").toString().getBytes(StandardCharsets.ISO_8859_1);
        if (!withBody) {
            out.write(start);
            return;
        }
        byte[] all = new byte[start.length + body.length];
        System.arraycopy(start, 0, all, 0, start.length);
        System.arraycopy(body, 0, all, start.length, body.length);
        out.write(all);
    }

    /** Sends no body, nor a length of one. */
    void sendHead(OutputStream out) throws IOException {
        out.write(head.append("\r\n").toString().getBytes(StandardCharsets.ISO_8859_1));
    }

    /** @param length -1 if not known: sent in chunks (RFC 9112 §7.1) */
    void send(OutputStream out, InputStream body, long length, boolean withBody) throws IOException {
        if (length >= 0) {
            header("Content-Length", Long.toString(length));
        } else {
            header("Transfer-Encoding", "chunked");
        }
        sendHead(out);
        if (!withBody) {
            return;
        }
        byte[] buffer = new byte[COPY_BYTES + 8];
        long left = length < 0 ? Long.MAX_VALUE : length;
        while (left > 0) {
            // Room before for "4000\r\n", behind for "\r\n".
            int count = body.read(buffer, 6, (int) Math.min(COPY_BYTES, left));
            if (count < 0) {
                break;
            }
            left -= count;
            if (length >= 0) {
                out.write(buffer, 6, count);
            } else {
                for (int i = 0; i < 4; i++) {
                    buffer[i] = (byte) Character.forDigit(count >> (12 - 4 * i) & 15, 16);
                }
                buffer[4] = '\r';
                buffer[5] = '\n';
                buffer[6 + count] = '\r';
                buffer[7 + count] = '\n';
                out.write(buffer, 0, count + 8);
            }
        }
        if (length < 0) {
            out.write("0\r\n\r\n".getBytes(StandardCharsets.ISO_8859_1));
        } else if (left > 0) {
            throw new EOFException("an answer is " + left + " bytes shorter than was told");
        }
    }

    /** RFC 9110 §5.6.7. */
    private static String date() {
        LocalDateTime now = LocalDateTime.ofEpochSecond(System.currentTimeMillis() / 1000, 0, ZoneOffset.UTC);
        int day = 3 * (now.getDayOfWeek().getValue() - 1);
        int month = 3 * (now.getMonthValue() - 1);
        return DAYS.substring(day, day + 3) + ", " + two(now.getDayOfMonth()) + " " + MONTHS.substring(month, month + 3)
                + " " + now.getYear() + " " + two(now.getHour()) + ":" + two(now.getMinute()) + ":"
                + two(now.getSecond()) + " GMT";
    }

    private static String two(int number) {
        return number < 10 ? "0" + number : Integer.toString(number);
    }

    private static String reason(int status) {
        return switch (status) {
            case 101 -> "Switching Protocols";
            case 200 -> "OK";
            case 201 -> "Created";
            case 202 -> "Accepted";
            case 204 -> "No Content";
            case 206 -> "Partial Content";
            case 303 -> "See Other";
            case 304 -> "Not Modified";
            case 400 -> "Bad Request";
            case 403 -> "Forbidden";
            case 404 -> "Not Found";
            case 405 -> "Method Not Allowed";
            case 409 -> "Conflict";
            case 413 -> "Content Too Large";
            case 416 -> "Range Not Satisfiable";
            case 426 -> "Upgrade Required";
            case 429 -> "Too Many Requests";
            case 431 -> "Request Header Fields Too Large";
            case 500 -> "Internal Server Error";
            case 501 -> "Not Implemented";
            case 503 -> "Service Unavailable";
            case 505 -> "HTTP Version Not Supported";
            default -> status < 400 ? "OK" : "Error";
        };
    }
}
