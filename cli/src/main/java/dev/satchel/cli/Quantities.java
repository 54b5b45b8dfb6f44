package dev.satchel.cli;

import dev.satchel.session.Retention;
import java.time.Duration;
import java.time.Instant;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Sizes, durations and counts as people write and read them. */
final class Quantities {
    private static final String[] BINARY = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};

    private Quantities() {}

    /** {@code 512M}, {@code 1.5G}, {@code 8GiB}, {@code 4096}: bytes, above 0; units are powers of 1024, as docker has them. */
    static long parseBytes(String text) {
        int unitAt = text.length();
        while (unitAt > 0 && Character.isLetter(text.charAt(unitAt - 1))) {
            unitAt--;
        }
        int shift = switch (text.substring(unitAt).toUpperCase(java.util.Locale.ROOT)) {
            case "", "B" -> 0;
            case "K", "KB", "KIB" -> 10;
            case "M", "MB", "MIB" -> 20;
            case "G", "GB", "GIB" -> 30;
            case "T", "TB", "TIB" -> 40;
            default -> -1;
        };
        double bytes = shift < 0 ? -1 : positive(text.substring(0, unitAt)) * (1L << shift);
        if (!(bytes >= 1 && bytes < 0x1p62)) {
            throw new TypeConversionException("'" + text + "' is not a size such as 512M or 8G");
        }
        return (long) bytes;
    }

    /** {@code 90s}, {@code 30m}, {@code 8h}, {@code 1h30m}, {@code 2d}: above 0, at most ten years. */
    static Duration parseDuration(String text) {
        double seconds = text.isEmpty() ? -1 : 0;
        int from = 0;
        while (from < text.length() && seconds >= 0) {
            int unitAt = from;
            while (unitAt < text.length() && !Character.isLetter(text.charAt(unitAt))) {
                unitAt++;
            }
            int unitSeconds = switch (unitAt < text.length() ? text.charAt(unitAt) : ' ') {
                case 's' -> 1;
                case 'm' -> 60;
                case 'h' -> 3600;
                case 'd' -> 86_400;
                default -> -1;
            };
            double count = positive(text.substring(from, unitAt));
            seconds = unitSeconds < 0 || count < 0 ? -1 : seconds + count * unitSeconds;
            from = unitAt + 1;
        }
        if (!(seconds >= 1 && seconds <= 10 * 365.25 * 86_400)) {
            throw new TypeConversionException("'" + text + "' is not a time such as 30m, 8h or 2d");
        }
        return Duration.ofMillis((long) (seconds * 1000));
    }

    /** {@code 2} or {@code 1.5}: processors, above 0. */
    static double parseProcessors(String text) {
        double processors = positive(text);
        if (!(processors >= 0.01 && processors <= 4096)) {
            throw new TypeConversionException("'" + text + "' is not a number of processors such as 2 or 1.5");
        }
        return processors;
    }

    /** A whole number from {@code least} to {@code most}. */
    static int parseCount(String text, int least, int most) {
        double count = text.indexOf('.') >= 0 ? -1 : positive(text);
        if (!(count >= least && count <= most)) {
            throw new TypeConversionException("'" + text + "' is not a number from " + least + " to " + most);
        }
        return (int) count;
    }

    /** {@code 1280x800}: a screen, 160 to 16384 pixels a side. */
    static String parseGeometry(String text) {
        int x = text.indexOf('x');
        double width = x < 0 ? -1 : positive(text.substring(0, x));
        double height = x < 0 ? -1 : positive(text.substring(x + 1));
        if (text.indexOf('.') >= 0 || !(width >= 160 && width <= 16_384 && height >= 160 && height <= 16_384)) {
            throw new TypeConversionException("'" + text + "' is not a screen size such as 1280x800");
        }
        return text;
    }

    static final class Bytes implements ITypeConverter<Long> {
        @Override
        public Long convert(String text) {
            return parseBytes(text);
        }
    }

    static final class Time implements ITypeConverter<Duration> {
        @Override
        public Duration convert(String text) {
            return parseDuration(text);
        }
    }

    /** A duration, or {@code off}, which is zero. */
    static final class TimeOrOff implements ITypeConverter<Duration> {
        @Override
        public Duration convert(String text) {
            return text.equals("off") ? Duration.ZERO : parseDuration(text);
        }
    }

    /** What snapshots to keep. */
    static final class Keeping implements ITypeConverter<Retention> {
        @Override
        public Retention convert(String text) {
            try {
                return Retention.parse(text);
            } catch (IllegalArgumentException e) {
                throw new TypeConversionException(String.valueOf(e.getMessage()));
            }
        }
    }

    static final class Processors implements ITypeConverter<Double> {
        @Override
        public Double convert(String text) {
            return parseProcessors(text);
        }
    }

    static final class Geometry implements ITypeConverter<String> {
        @Override
        public String convert(String text) {
            return parseGeometry(text);
        }
    }

    /** Digits with at most one point among them; -1 if it is something else. */
    private static double positive(String digits) {
        boolean point = false;
        boolean digit = false;
        for (int i = 0; i < digits.length(); i++) {
            char c = digits.charAt(i);
            if (c == '.' && !point) {
                point = true;
            } else if (c >= '0' && c <= '9') {
                digit = true;
            } else {
                return -1;
            }
        }
        return digit && digits.length() <= 18 ? Double.parseDouble(digits) : -1;
    }

    /** Three significant digits: {@code 0 B}, {@code 1.25 MiB}, {@code 14.3 GiB}, {@code 412 MiB}. */
    static String bytes(long bytes) {
        int unit = 0;
        double scaled = bytes;
        while (scaled >= 999.5 && unit < BINARY.length - 1) {
            scaled /= 1024;
            unit++;
        }
        int decimals = unit == 0 || scaled >= 99.95 ? 0 : scaled >= 9.995 ? 1 : 2;
        return decimal(scaled, decimals) + " " + BINARY[unit];
    }

    /** {@code 0.58 s}, {@code 12.3 s}, {@code 4 min 5 s}. */
    static String millis(long millis) {
        if (millis >= 60_000) {
            long seconds = (millis + 500) / 1000;
            return seconds / 60 + " min " + seconds % 60 + " s";
        }
        return decimal(millis / 1000.0, millis >= 9_995 ? 1 : 2) + " s";
    }

    /** {@code 8 h}, {@code 1 d 30 min}; of at least a second, and without its fraction. */
    static String duration(Duration duration) {
        StringBuilder text = new StringBuilder();
        append(text, duration.toDays(), " d");
        append(text, duration.toHoursPart(), " h");
        append(text, duration.toMinutesPart(), " min");
        append(text, duration.toSecondsPart(), " s");
        return text.toString();
    }

    private static void append(StringBuilder text, long count, String unit) {
        if (count > 0) {
            text.append(text.isEmpty() ? "" : " ").append(count).append(unit);
        }
    }

    /** {@code just now}, {@code 5 minutes ago}, {@code 3 weeks ago}; {@code in the future} when clocks disagree. */
    static String ago(Instant then, Instant now) {
        long seconds = now.getEpochSecond() - then.getEpochSecond();
        if (seconds < -60) {
            return "in the future";
        }
        if (seconds < 10) {
            return "just now";
        }
        if (seconds < 120) {
            return seconds + " seconds ago";
        }
        if (seconds < 2 * 3600) {
            return seconds / 60 + " minutes ago";
        }
        if (seconds < 48 * 3600) {
            return seconds / 3600 + " hours ago";
        }
        long days = seconds / 86_400;
        return days < 14
                ? days + " days ago"
                : days < 61
                        ? days / 7 + " weeks ago"
                        : days < 730 ? days / 30 + " months ago" : days / 365 + " years ago";
    }

    /** {@code 1 process}, {@code 42 processes}. */
    static String processes(int count) {
        return count + (count == 1 ? " process" : " processes");
    }

    /** Rounded half up; without String.format, which costs a cold JVM tens of milliseconds. */
    private static String decimal(double value, int decimals) {
        long scale = decimals == 2 ? 100 : decimals == 1 ? 10 : 1;
        long scaled = (long) (value * scale + 0.5);
        StringBuilder text = new StringBuilder().append(scaled / scale);
        if (decimals > 0) {
            text.append('.');
            long fraction = scaled % scale;
            if (decimals == 2 && fraction < 10) {
                text.append('0');
            }
            text.append(fraction);
        }
        return text.toString();
    }
}
