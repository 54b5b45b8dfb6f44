package dev.satchel.cli;

import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.CommandSpec;

/**
 * All commands by name, and trees of them for the parser: the whole one, or only the branch that a command line names, which is
 * what keeps the start of a command short.
 */
final class Commands {
    /** In the order in which help lists them. */
    private static final List<String> NAMES = List.of(
            "create",
            "resume",
            "suspend",
            "snapshot",
            "stop",
            "ls",
            "inspect",
            "history",
            "set",
            "label",
            "prune",
            "fork",
            "rm",
            "exec",
            "logs",
            "view",
            "screenshot",
            "record",
            "type",
            "key",
            "click",
            "clipboard",
            "image",
            "vault",
            "doctor",
            "demo",
            "help",
            "completion",
            "manual",
            "doorkeeper",
            "recorder");

    private Commands() {}

    /** The command of that name, a new one each time; null if there is none. */
    private static @Nullable Command named(String name) {
        return switch (name) {
            case "create" -> new CreateCommand();
            case "resume" -> new ResumeCommand();
            case "suspend" -> new SuspendCommand();
            case "snapshot" -> new SnapshotCommand();
            case "stop" -> new StopCommand();
            case "ls" -> new ListCommand();
            case "inspect" -> new InspectCommand();
            case "history" -> new HistoryCommand();
            case "set" -> new SetCommand();
            case "label" -> new LabelCommand();
            case "prune" -> new PruneCommand();
            case "fork" -> new ForkCommand();
            case "rm" -> new RemoveCommand();
            case "exec" -> new ExecCommand();
            case "logs" -> new LogsCommand();
            case "view" -> new ViewCommand();
            case "screenshot" -> new ScreenshotCommand();
            case "record" -> new RecordCommand();
            case "type" -> new TypeCommand();
            case "key" -> new KeyCommand();
            case "click" -> new ClickCommand();
            case "clipboard" -> new Group("clipboard", "Copy and paste text out of and into a session", "get", "set");
            case "clipboard get" -> new ClipboardGetCommand();
            case "clipboard set" -> new ClipboardSetCommand();
            case "image" -> new Group("image", "Make, list and remove session images", "build", "import", "ls", "rm");
            case "image build" -> new ImageBuildCommand();
            case "image import" -> new ImageImportCommand();
            case "image ls" -> new ImageListCommand();
            case "image rm" -> new ImageRemoveCommand();
            case "vault" ->
                new Group(
                        "vault",
                        "Make, open, check and copy the vault",
                        "init",
                        "unlock",
                        "lock",
                        "info",
                        "verify",
                        "repair",
                        "sync",
                        "serve",
                        "clear-cache",
                        "gc",
                        "passwd",
                        "keys");
            case "vault init" -> new VaultInitCommand();
            case "vault unlock" -> new VaultUnlockCommand();
            case "vault lock" -> new VaultLockCommand();
            case "vault info" -> new VaultInfoCommand();
            case "vault verify" -> new VaultVerifyCommand();
            case "vault sync" -> new VaultSyncCommand();
            case "vault repair" -> new VaultRepairCommand();
            case "vault serve" -> new VaultServeCommand();
            case "vault clear-cache" -> new VaultClearCacheCommand();
            case "vault gc" -> new VaultCollectCommand();
            case "vault passwd" -> new VaultPasswordCommand();
            case "vault keys" -> new Group("keys", "Add, list and remove what opens the vault", "add", "ls", "rm");
            case "vault keys add" -> new VaultKeysAddCommand();
            case "vault keys ls" -> new VaultKeysListCommand();
            case "vault keys rm" -> new VaultKeysRemoveCommand();
            case "doctor" -> new DoctorCommand();
            case "demo" -> new DemoCommand();
            case "help" -> new HelpCommand();
            case "completion" -> new CompletionCommand();
            case "manual" -> new ManualCommand().hidden();
            case "doorkeeper" -> new DoorkeeperCommand().hidden();
            case "recorder" -> new RecorderCommand().hidden();
            default -> null;
        };
    }

    /** The whole tree below {@code root}. */
    static CommandSpec whole(CommandSpec root) {
        for (String name : NAMES) {
            Command command = existing(name);
            addMembers(name, command);
            root.addSubcommand(name, command.spec());
        }
        return root;
    }

    /** All that a group gathers, and the groups in it. */
    private static void addMembers(String name, Command command) {
        if (command instanceof Group group) {
            for (String member : group.members()) {
                String below = name + " " + member;
                Command added = existing(below);
                addMembers(below, added);
                group.spec().addSubcommand(member, added.spec());
            }
        }
    }

    /**
     * The branch below {@code root} that these arguments name, or the whole tree if they name none that there is.
     *
     * @param globals knows which options before a command's name take a value
     */
    static CommandSpec branch(CommandSpec root, GlobalOptions globals, String... arguments) {
        int at = nextWord(globals, arguments, 0);
        if (at == arguments.length) {
            return root;
        }
        String name = arguments[at];
        Command command = name.indexOf(' ') < 0 ? named(name) : null;
        if (command != null && !addMember(name, command, globals, at, arguments)) {
            return whole(root);
        }
        if (command == null) {
            return whole(root);
        }
        return root.addSubcommand(name, command.spec());
    }

    /**
     * Adds the one member that the arguments name, of a group and of a group in it; nothing is to be added to other commands.
     *
     * @param at where the command's own name is
     * @return false if they name none
     */
    private static boolean addMember(String name, Command command, GlobalOptions globals, int at, String... arguments) {
        if (!(command instanceof Group group)) {
            return true;
        }
        int next = nextWord(globals, arguments, at + 1);
        String member = next == arguments.length ? "" : arguments[next];
        if (!group.members().contains(member)) {
            return false;
        }
        String below = name + " " + member;
        Command added = existing(below);
        if (!addMember(below, added, globals, next, arguments)) {
            return false;
        }
        group.spec().addSubcommand(member, added.spec());
        return true;
    }

    /** Where the first word from there on is that is neither an option nor a global option's value. */
    private static int nextWord(GlobalOptions globals, String[] arguments, int from) {
        int at = from;
        while (at < arguments.length && arguments[at].startsWith("-")) {
            at += globals.takesValue(arguments[at]) ? 2 : 1;
        }
        return Math.min(at, arguments.length);
    }

    private static Command existing(String name) {
        Command command = named(name);
        if (command == null) {
            throw new IllegalStateException("no command " + name);
        }
        return command;
    }
}
