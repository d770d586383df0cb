"""What happens to files: random damage of bytes."""

from collections.abc import Callable

from hypothesis import strategies as st


@st.composite
def damage(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """Bits flipped, bytes cut off, put in, taken out, or everything replaced."""
    kind = draw(st.sampled_from(["flip", "cut", "insert", "remove", "zero", "replace"]))
    where, much, junk = draw(st.floats(0, 1)), draw(st.integers(1, 600)), draw(st.binary(min_size=1, max_size=50))

    def apply(content: bytes) -> bytes:
        at = int(where * (len(content) - 1))
        if kind == "flip":
            return content[:at] + bytes([content[at] ^ (1 << much % 8)]) + content[at + 1 :]
        if kind == "cut":
            return content[:at]
        if kind == "insert":
            return content[:at] + junk + content[at:]
        if kind == "remove":
            return content[:at] + content[at + much :]
        if kind == "zero":
            return content[:at] + bytes(len(content[at : at + much])) + content[at + much :]
        return junk

    return apply
