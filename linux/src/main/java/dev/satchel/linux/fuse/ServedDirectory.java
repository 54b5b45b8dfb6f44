package dev.satchel.linux.fuse;

import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The files of one mount, numbered: node 1 is the directory, 2 the first file. Never changes. */
final class ServedDirectory {
    private static final int FIRST_FILE = 2;

    private final String[] names;
    private final FuseFile[] files;
    private final Map<String, Integer> nodes;

    ServedDirectory(Map<String, FuseFile> byName) {
        names = byName.keySet().toArray(new String[0]);
        files = new FuseFile[names.length];
        nodes = HashMap.newHashMap(names.length);
        for (int i = 0; i < names.length; i++) {
            String name = names[i];
            if (name.isEmpty() || name.equals(".") || name.equals("..") || name.indexOf('/') >= 0) {
                throw new IllegalArgumentException("'" + name + "' can't be the name of a file");
            }
            files[i] = byName.get(name);
            nodes.put(name, i + FIRST_FILE);
        }
    }

    int count() {
        return files.length;
    }

    /** The node of that name, or 0. */
    long node(String name) {
        return nodes.getOrDefault(name, 0);
    }

    long node(int index) {
        return (long) index + FIRST_FILE;
    }

    /** The file of that node, or null for the directory. */
    @Nullable
    FuseFile file(long node) {
        long index = node - FIRST_FILE;
        return index >= 0 && index < files.length ? files[(int) index] : null;
    }

    String name(long node) {
        long index = node - FIRST_FILE;
        return index >= 0 && index < names.length ? names[(int) index] : ".";
    }

    FuseFile file(int index) {
        return files[index];
    }
}
