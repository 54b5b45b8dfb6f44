package dev.satchel.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;

/** One thing of many that a command lists: an object for scripts, or cells of a table for people. */
interface Row {
    /** Writes the fields of a JSON object that is open. */
    void fields(JsonGenerator json) throws IOException;

    /** As many as the table has columns. */
    String[] cells();
}
