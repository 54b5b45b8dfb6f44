package dev.satchel.cli;

import dev.satchel.session.AutoSync;
import dev.satchel.session.Door;
import dev.satchel.session.ResumeRequest;
import dev.satchel.session.SessionInfo;
import dev.satchel.session.Supervisor;
import dev.satchel.session.UpkeepChange;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.util.Optional;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

/**
 * {@code resume}. The process that carries it out stays behind as the session's supervisor, so that a JVM's start is paid for once;
 * whoever typed it gets their prompt back from the launcher, which is told when the session runs ({@link Launcher}).
 */
final class ResumeCommand extends Command {
    private final PositionalParamSpec name = session("NAME", "The session.");
    private final OptionSpec at = option(
            "SNAPSHOT",
            "Go on from this snapshot, see 'satchel history': its label, or the first digits of its id.",
            "--at");
    private final OptionSpec fresh = flag("Boot it on its newest files, without the programs that ran.", "--fresh");
    private final OptionSpec takeOver = flag(
            "Take it from a host that has it and is gone; that host can't write to it any more. Also go on from a copy of the vault"
                    + " that is behind another one, or whose session runs elsewhere.",
            "--take-over");

    private final OptionSpec lazy = flag(
            "Have its programs run before their memory has arrived, and bring it when they touch it. The default.",
            "--lazy");
    private final OptionSpec eager = flag("Bring all of its memory before its programs run.", "--no-lazy");
    private final UpkeepOptions upkeep = new UpkeepOptions(this);

    ResumeCommand() {
        super("resume", "Run a session here");
        describe(
                "Goes on where the newest snapshot was taken, or boots the session if it has none. When it returns, the"
                        + " session's programs run, and a supervisor process serves it in the background.",
                "A session runs on one host at a time: if another has it, the command fails with exit code 6 and says which."
                        + " If that host is gone for good, --take-over takes the session from it.",
                "Programs run before all of their memory has arrived: what they touch is brought at once, the rest behind"
                        + " that. If the vault can't be read meanwhile, the session stands still until it can.");
        examples(
                "satchel resume work",
                "satchel resume work --at 3f2a9c          # back to an earlier instant",
                "satchel resume work --fresh              # like switching it off and on");
    }

    private Optional<Boolean> lazy() {
        if (given(lazy) && given(eager)) {
            throw new UsageException("--lazy and --no-lazy exclude each other: give one of them");
        }
        return given(lazy) || given(eager) ? Optional.of(given(lazy)) : Optional.empty();
    }

    @Override
    int run(Invocation invocation) throws IOException {
        ResumeRequest request = new ResumeRequest(text(name), optional(at), given(fresh), given(takeOver), lazy());
        UpkeepChange change = upkeep.change();
        if (!change.isNone()) {
            SessionInfo _ = invocation.satchel().configure(text(name), change);
        }
        Optional<Launcher> launcher =
                Launcher.waiting(invocation.variable(Launcher.STATUS_FD), invocation.variable(Launcher.INHERITED_FDS));
        Optional<Door> door;
        Optional<AutoSync> sync;
        try (Supervisor supervisor = invocation.satchel().resume(request)) {
            invocation.print(new ResumeReport(supervisor.result()));
            if (launcher.isEmpty()) {
                invocation.note("serving " + text(name) + " in the foreground until it is suspended or stopped");
            }
            if (invocation.interruption().came()) {
                throw new InterruptedIOException("interrupted: type it again");
            }
            if (launcher.isPresent()) {
                launcher.get().letGo(supervisor.log());
            }
            supervisor.recordBy(RecorderCommand.line(invocation));
            invocation.interruption().handOver(supervisor::rescue);
            try {
                supervisor.serve();
            } finally {
                supervisor.awaitAnswers();
            }
            door = supervisor.door();
            sync = supervisor.autoSync();
        }
        if (door.isPresent()
                && launcher.isPresent()
                && !invocation.interruption().came()) {
            DoorkeeperCommand.start(invocation, door.get());
        }
        if (sync.isPresent() && !invocation.interruption().came()) {
            // The session is safe: a signal leaves what is not in the copy yet to the next sync.
            invocation.interruption().handOver(sync.get()::close);
            boolean ignored = sync.get().finish(); // also what can't be carried now
        }
        return 0;
    }
}
