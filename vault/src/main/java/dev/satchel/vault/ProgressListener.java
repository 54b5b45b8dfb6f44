package dev.satchel.vault;

/** Hears how far a long job is; called on the thread that does the job, often, so be quick. */
@FunctionalInterface
public interface ProgressListener {
    /** Hears nothing. */
    ProgressListener NONE = (done, total) -> {};

    /**
     * Hears of progress.
     *
     * @param bytesDone how much is done
     * @param bytesTotal how much there is; may grow while the job runs
     */
    void progress(long bytesDone, long bytesTotal);
}
