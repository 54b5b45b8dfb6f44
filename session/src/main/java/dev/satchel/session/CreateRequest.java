package dev.satchel.session;

import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * What {@code create} is asked for.
 *
 * @param name the session's name, unique in the vault
 * @param image the image's name
 * @param diskBytes size of the session's disk; the image's own when absent
 * @param memoryBytes limit on the session's memory; none when absent
 * @param cpus limit on its processors, e.g. 1.5; none when absent
 * @param environment variables of every process, over those of the image
 * @param geometry the screen, e.g. {@code 1280x800}
 * @param geometryMax the largest that viewers can make it
 * @param suspendOnClose suspend when the last viewer goes
 * @param uploadBytesMax of a file that a viewer sends into it; 0: they can send none
 * @param upkeep what is done about its snapshots, beginning from nothing
 */
public record CreateRequest(
        String name,
        String image,
        OptionalLong diskBytes,
        OptionalLong memoryBytes,
        Optional<Double> cpus,
        Map<String, String> environment,
        String geometry,
        String geometryMax,
        boolean suspendOnClose,
        long uploadBytesMax,
        UpkeepChange upkeep) {
    /** Unless something else is said. */
    public static final long UPLOAD_BYTES_MAX = 4L << 30;

    /** With nothing done about its snapshots unless somebody asks. */
    public CreateRequest(
            String name,
            String image,
            OptionalLong diskBytes,
            OptionalLong memoryBytes,
            Optional<Double> cpus,
            Map<String, String> environment,
            String geometry,
            String geometryMax,
            boolean suspendOnClose,
            long uploadBytesMax) {
        this(
                name,
                image,
                diskBytes,
                memoryBytes,
                cpus,
                environment,
                geometry,
                geometryMax,
                suspendOnClose,
                uploadBytesMax,
                UpkeepChange.NONE);
    }

    /** With the usual limit on what viewers send. */
    public CreateRequest(
            String name,
            String image,
            OptionalLong diskBytes,
            OptionalLong memoryBytes,
            Optional<Double> cpus,
            Map<String, String> environment,
            String geometry,
            String geometryMax,
            boolean suspendOnClose) {
        this(
                name,
                image,
                diskBytes,
                memoryBytes,
                cpus,
                environment,
                geometry,
                geometryMax,
                suspendOnClose,
                UPLOAD_BYTES_MAX);
    }
}
