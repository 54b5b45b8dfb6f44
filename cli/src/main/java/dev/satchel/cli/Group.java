package dev.satchel.cli;

import java.util.List;

/** A command that only gathers others: {@code vault}, {@code image}. */
final class Group extends Command {
    private final List<String> members;

    Group(String name, String summary, String... members) {
        super(name, summary);
        this.members = List.of(members);
    }

    /** The names of its commands, in the order in which help lists them. */
    List<String> members() {
        return members;
    }

    @Override
    int run(Invocation invocation) {
        throw new UsageException("command missing after '" + spec().name() + "': one of " + String.join(", ", members));
    }
}
