import random

from cxr_edge_train.dataset.groups import Groups


def test_names_that_are_joined_by_a_chain_are_one_group_with_the_first_name() -> None:
    groups = Groups()
    for one, other in [("d", "c"), ("b", "a"), ("c", "b")]:
        assert groups.join(one, other)
    assert [groups.of(name) for name in "abcde"] == ["a", "a", "a", "a", "e"]
    assert not groups.join("d", "a")


def test_groups_do_not_depend_on_the_order_of_the_pairs() -> None:
    draw = random.Random(0)
    pairs = [(str(draw.randrange(200)), str(draw.randrange(200))) for _ in range(120)]
    found = set()
    for _ in range(5):
        draw.shuffle(pairs)
        groups = Groups()
        for pair in pairs:
            groups.join(*pair)
        found.add(tuple(groups.of(str(number)) for number in range(200)))
    assert len(found) == 1


def test_a_long_chain_is_no_deep_recursion() -> None:
    groups = Groups()
    for number in reversed(range(50_000)):
        groups.join(f"{number:06}", f"{number + 1:06}")
    assert groups.of("050000") == "000000"
