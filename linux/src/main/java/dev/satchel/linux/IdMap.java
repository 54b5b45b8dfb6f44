package dev.satchel.linux;

/**
 * One range of a user namespace's id map, user_namespaces(7).
 *
 * @param inside first id inside the namespace
 * @param outside first id outside
 * @param count how many
 */
public record IdMap(long inside, long outside, long count) {}
