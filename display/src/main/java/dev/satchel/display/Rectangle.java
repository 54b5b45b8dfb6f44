package dev.satchel.display;

/**
 * Pixels of a screen: {@code x} and {@code y} from its upper left corner.
 *
 * @param width at least 0; nothing is in a rectangle without width or height
 */
public record Rectangle(int x, int y, int width, int height) {
    public Rectangle {
        if (width < 0 || height < 0) {
            throw new IllegalArgumentException("a rectangle of " + width + "x" + height);
        }
    }

    /** @return the first column to the right of it */
    public int right() {
        return x + width;
    }

    /** @return the first row below it */
    public int bottom() {
        return y + height;
    }

    public boolean isEmpty() {
        return width == 0 || height == 0;
    }

    /** In pixels. */
    public long area() {
        return (long) width * height;
    }

    public Rectangle translate(int dx, int dy) {
        return new Rectangle(x + dx, y + dy, width, height);
    }

    /** @return what is in both, perhaps nothing */
    public Rectangle intersect(Rectangle other) {
        int left = Math.max(x, other.x);
        int top = Math.max(y, other.y);
        return new Rectangle(
                left,
                top,
                Math.max(0, Math.min(right(), other.right()) - left),
                Math.max(0, Math.min(bottom(), other.bottom()) - top));
    }

    /** @return the smallest that holds both */
    public Rectangle union(Rectangle other) {
        if (isEmpty()) {
            return other;
        }
        if (other.isEmpty()) {
            return this;
        }
        int left = Math.min(x, other.x);
        int top = Math.min(y, other.y);
        return new Rectangle(
                left, top, Math.max(right(), other.right()) - left, Math.max(bottom(), other.bottom()) - top);
    }

    public boolean contains(Rectangle other) {
        return other.isEmpty()
                || (x <= other.x && y <= other.y && right() >= other.right() && bottom() >= other.bottom());
    }

    public boolean contains(int column, int row) {
        return column >= x && row >= y && column < right() && row < bottom();
    }
}
