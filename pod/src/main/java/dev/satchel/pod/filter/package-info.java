/**
 * Filters that convert CRIU's images between a dump and their storing: each mends one thing that CRIU 4.2.1 writes so that it would
 * be lost, or could not come back. They change fields of messages and keep everything else as it is, also what they don't know.
 */
@org.jspecify.annotations.NullMarked
package dev.satchel.pod.filter;
