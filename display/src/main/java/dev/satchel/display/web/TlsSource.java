package dev.satchel.display.web;

import java.io.IOException;

/** Has a certificate once one is needed: reading it takes time and memory that most sessions never spend. Thread-safe. */
public interface TlsSource {
    TlsIdentity identity() throws IOException;
}
