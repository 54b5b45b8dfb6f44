package dev.satchel.session;

import java.nio.file.Path;
import java.util.List;

/**
 * How the demo went.
 *
 * @param session its name
 * @param first what {@code snapshot} on host A reported, with nothing of the programs in the vault yet
 * @param suspended what {@code suspend} on host A reported
 * @param resumed what resuming on host B reported
 * @param unlockMillis how long host B took to open the vault by its passphrase, mostly Argon2id's work
 * @param typedMillis from the moment the command was typed on host B until it returned, with the start of the program
 * @param checks what was checked, in order
 * @param pictures of host A before and of host B after
 * @param exports what to type so that commands mean host B
 */
public record DemoResult(
        String session,
        Suspended first,
        Suspended suspended,
        Resumed resumed,
        long unlockMillis,
        long typedMillis,
        List<Check> checks,
        List<Path> pictures,
        String exports) {
    /** One check: what is to be so, whether it is, and what was seen. */
    public record Check(String name, boolean ok, String detail) {}

    /** Of {@code suspend}'s and {@code snapshot}'s fields, those that the demo tells; see {@link SuspendResult}. */
    public record Suspended(
            String snapshot,
            long frozenMillis,
            long totalMillis,
            long criuMillis,
            long processes,
            long bytesMemory,
            long bytesNew) {}

    /** Of {@code resume}'s fields, those that the demo tells; see {@link ResumeResult}. */
    public record Resumed(long totalMillis, long criuMillis, String viewUrl) {}

    public DemoResult {
        checks = List.copyOf(checks);
        pictures = List.copyOf(pictures);
    }

    /** The checks that failed; none when all went on. */
    public List<Check> failures() {
        return checks.stream().filter(check -> !check.ok()).toList();
    }
}
