package dev.satchel.pod.net;

import java.io.IOException;
import java.nio.file.Path;

/** A process of its own that gives a pod a network and then waits to be killed. Prints how long that took in its cold JVM. */
final class SupervisorThatDies {
    private SupervisorThatDies() {}

    public static void main(String[] args) throws IOException {
        long begin = System.nanoTime();
        try (PodNetwork network = PodNetwork.create(PodNetworkTest.config("dies", true), Path.of(args[0]))) {
            network.plug(Long.parseLong(args[1]));
            long millis = (System.nanoTime() - begin) / 1_000_000;
            System.out.println(network.hostSideAddress().getHostAddress() + " " + millis);
            System.out.println(System.in.read());
        }
    }
}
