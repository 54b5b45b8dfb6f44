package dev.satchel.session;

/** Hears how a long job goes. Called from several threads, often; be quick, throw nothing. */
public interface Progress {
    Progress NONE = (what, done, total) -> {};

    /** {@code what} is being done; {@code done} of {@code total} (bytes or steps), total 0 when unknown. */
    void at(String what, long done, long total);
}
