package dev.satchel.vault;

import java.util.BitSet;
import java.util.Optional;

/**
 * A pack that is not whole.
 *
 * @param name its file
 * @param directory what is in it, from itself or from an index; empty when nobody knows
 * @param damaged numbers of the directory's entries whose chunks can't be opened
 */
record PackDamage(String name, Optional<DomainPacks.Directory> directory, BitSet damaged) {}
