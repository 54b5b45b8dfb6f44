package dev.satchel.session;

import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** An object that {@link Json} read; asking for what is not there, or is of another type, fails. */
record JsonObject(Map<String, Object> fields) {
    String text(String name) throws IOException {
        return get(name, String.class);
    }

    long number(String name) throws IOException {
        return get(name, Long.class);
    }

    long number(String name, long otherwise) throws IOException {
        return has(name) ? number(name) : otherwise;
    }

    boolean truth(String name) throws IOException {
        return has(name) && get(name, Boolean.class);
    }

    boolean has(String name) {
        return fields.containsKey(name);
    }

    Optional<String> optionalText(String name) throws IOException {
        return has(name) ? Optional.of(text(name)) : Optional.empty();
    }

    Optional<Double> optionalFraction(String name) throws IOException {
        Object value = fields.get(name);
        if (value instanceof Number number) {
            return Optional.of(number.doubleValue());
        }
        return value == null ? Optional.empty() : Optional.of(get(name, Double.class));
    }

    List<String> texts(String name) throws IOException {
        List<String> texts = new ArrayList<>();
        for (Object element : get(name, List.class)) {
            if (!(element instanceof String text)) {
                throw new IOException("'" + name + "' is no list of texts");
            }
            texts.add(text);
        }
        return texts;
    }

    List<JsonObject> objects(String name) throws IOException {
        List<JsonObject> objects = new ArrayList<>();
        for (Object element : get(name, List.class)) {
            if (!(element instanceof Map<?, ?> map)) {
                throw new IOException("'" + name + "' is no list of objects");
            }
            @SuppressWarnings("unchecked") // Json makes maps with text keys only
            Map<String, Object> itsFields = (Map<String, Object>) map;
            objects.add(new JsonObject(itsFields));
        }
        return objects;
    }

    Map<String, String> textMap(String name) throws IOException {
        Map<String, String> map = new LinkedHashMap<>();
        Map<?, ?> fieldsOfMap = get(name, Map.class);
        for (Map.Entry<?, ?> entry : fieldsOfMap.entrySet()) {
            if (!(entry.getKey() instanceof String key) || !(entry.getValue() instanceof String text)) {
                throw new IOException("'" + name + "' is no map of texts");
            }
            map.put(key, text);
        }
        return map;
    }

    JsonObject object(String name) throws IOException {
        Map<String, Object> object = new LinkedHashMap<>();
        Map<?, ?> fieldsOfMap = get(name, Map.class);
        for (Map.Entry<?, ?> entry : fieldsOfMap.entrySet()) {
            object.put(String.valueOf(entry.getKey()), entry.getValue());
        }
        return new JsonObject(object);
    }

    private <T> T get(String name, Class<T> type) throws IOException {
        Object value = fields.get(name);
        if (!type.isInstance(value)) {
            throw new IOException("'" + name + "' is missing or of another type");
        }
        return type.cast(value);
    }
}
