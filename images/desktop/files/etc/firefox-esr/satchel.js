// Debian's Firefox reads every file here; its policies know no such preference. A session has no nested user namespaces, which CRIU could
// not take: Firefox's sandbox does without, and needs not say so in a bar over the first page (Firefox 128 and later).
pref("security.sandbox.warn_unprivileged_namespaces", false);
