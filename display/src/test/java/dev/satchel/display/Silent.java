package dev.satchel.display;

import java.io.IOException;

/** Whoever only fetches, and need not be told. */
public final class Silent implements Screen.Listener {
    @Override
    public void damaged() {}

    @Override
    public void resized(int width, int height) {}

    @Override
    public void cursorChanged(CursorImage cursor) {}

    @Override
    public void pointerMoved(int x, int y) {}

    @Override
    public void clipboardChanged() {}

    @Override
    public void lost(IOException reason) {}
}
