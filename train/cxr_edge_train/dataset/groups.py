"""Names that belong together, joined pair by pair."""


class Groups:
    """Groups of names that grow as pairs are joined (union-find); each name begins alone.

    Examples:
        >>> groups = Groups()
        >>> groups.join("b", "c"), groups.join("c", "a"), groups.join("a", "b")
        (True, True, False)
        >>> groups.of("c"), groups.of("d")
        ('a', 'd')
    """

    def __init__(self) -> None:
        """Begin with every name alone."""
        self._parents: dict[str, str] = {}

    def of(self, name: str) -> str:
        """The group of a name, called by the first of its names in alphabetical order."""
        root = name
        while root in self._parents:
            root = self._parents[root]
        while name != root:  # so that the next search is short
            self._parents[name], name = root, self._parents[name]
        return root

    def join(self, one: str, other: str) -> bool:
        """Join the groups of two names, and say whether they were apart until now."""
        first, second = sorted((self.of(one), self.of(other)))
        if first == second:
            return False
        self._parents[second] = first
        return True
