/**
 * The network of a running session: a constant address inside, a free one on this host outside, and between them a router that the
 * session can't touch.
 *
 * <pre>
 *  pod's namespace          router's namespace (nameless)                     host's namespace
 *  eth0 10.101.37.2/30 ──── inside      NAT, containment      outside ─────── satchel-7 198.18.0.14/31
 *                           lo 10.101.37.1/32, DNS relay      198.18.0.15/31  table inet satchel: masquerade, containment
 * </pre>
 *
 * {@link dev.satchel.pod.net.PodNetwork} is the way in.
 */
@NullMarked
package dev.satchel.pod.net;

import org.jspecify.annotations.NullMarked;
