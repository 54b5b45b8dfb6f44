package dev.satchel.session;

/**
 * One line of {@code doctor}.
 *
 * @param fix what to do; empty when {@code ok}
 */
public record CheckResult(String name, boolean ok, String detail, String fix) {}
