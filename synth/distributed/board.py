"""Where actors say what they do, and read whether they are to stop."""

from __future__ import annotations

__all__ = ["Board"]


class Board:
    """An actor of its own: what it was told survives the one that said it."""

    def __init__(self) -> None:
        self.photos: dict[int, str] = {}
        self.pictures = 0
        self.stopping = False

    def note(self, member: int, photo: str, pictures: int) -> bool:
        """A member works at `photo` and made so many pictures more; whether to stop."""
        self.photos[member] = photo
        self.pictures += pictures
        return self.stopping

    def read(self) -> int:
        """Pictures made since the last reading."""
        pictures, self.pictures = self.pictures, 0
        return pictures

    def last_photo(self, member: int) -> str:
        """The photo a member was at; the member is then forgotten."""
        return self.photos.pop(member, "")

    def stop(self) -> None:
        self.stopping = True
