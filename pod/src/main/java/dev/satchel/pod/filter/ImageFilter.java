package dev.satchel.pod.filter;

import java.io.IOException;

/** One conversion of a checkpoint's images. Applying it twice is the same as once. */
public interface ImageFilter {
    /** What it is called in a message to a person. */
    String name();

    /**
     * Changes the images in memory; whoever applies the filter writes them.
     *
     * @throws IOException if an image is not as CRIU writes it, or what is in it can't be mended: the checkpoint is of no use
     */
    void apply(ImageDirectory images) throws IOException;
}
