package dev.satchel.session;

import dev.satchel.pod.Pod;
import dev.satchel.pod.net.PodNetwork;
import dev.satchel.vault.SessionId;
import java.io.Closeable;
import java.io.IOException;
import java.net.Inet4Address;
import java.net.InetAddress;
import java.nio.file.Files;
import java.util.List;

/** The session's network on this host, made from its settings. */
final class Network implements Pod.Plug, Closeable {
    private final PodNetwork network;

    private Network(PodNetwork network) {
        this.network = network;
    }

    static Network create(RunDirectory run, Settings settings) throws IOException {
        return new Network(PodNetwork.create(
                new PodNetwork.Config(
                        run.podId(),
                        address(settings.address()),
                        Settings.NETWORK_BITS,
                        address(settings.gateway()),
                        mac(run.session()),
                        PodNetwork.Config.DEFAULT_POOL,
                        true,
                        PodNetwork.Config.DEFAULT_RESOLV_CONF,
                        List.of()),
                Files.createDirectories(run.network())));
    }

    private static Inet4Address address(String dotted) throws IOException {
        return (Inet4Address) InetAddress.getByName(dotted);
    }

    /** Locally administered, the same for the session's life; a fork has its own, which nothing inside remembers. */
    private static String mac(SessionId session) {
        StringBuilder mac = new StringBuilder("02");
        for (int shift = 32; shift >= 0; shift -= 8) {
            int octet = (int) (session.low() >>> shift) & 255;
            mac.append(':').append(Character.forDigit(octet >> 4, 16)).append(Character.forDigit(octet & 15, 16));
        }
        return mac.toString();
    }

    static void cleanUp(RunDirectory run) throws IOException {
        if (Files.isDirectory(run.network())) {
            PodNetwork.cleanUpAfterCrash(run.network());
        }
    }

    @Override
    public void plug(long initPid) throws IOException {
        network.plug(initPid);
    }

    @Override
    public void block() throws IOException {
        network.block();
    }

    @Override
    public void unblock() throws IOException {
        network.unblock();
    }

    /** What /etc/resolv.conf inside says. */
    String resolvConf() {
        return network.resolvConf().orElseThrow();
    }

    /** The address by which this host reaches the session. */
    String hostSideAddress() {
        return network.hostSideAddress().getHostAddress();
    }

    @Override
    public void restored(long initPid) throws IOException {
        network.resetEstablished(initPid);
    }

    @Override
    public void close() throws IOException {
        network.close();
    }
}
