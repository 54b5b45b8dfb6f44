/** The command line: parses, talks to supervisors, prints. */
@NullMarked
package dev.satchel.cli;

import org.jspecify.annotations.NullMarked;
