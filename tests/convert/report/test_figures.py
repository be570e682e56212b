from hypothesis import given
from hypothesis import strategies as st

from cxr_edge_convert.report.figures import best_tradeoffs, short_name

POINTS = st.lists(st.tuples(st.floats(0.1, 100), st.floats(0, 1)), min_size=1, max_size=12)


@given(POINTS)
def test_no_point_beats_one_on_the_line_and_each_other_one_is_beaten(
    points: list[tuple[float, float]],
) -> None:
    costs, values = zip(*points)
    line = best_tradeoffs(costs, values)
    for place, (cost, value) in enumerate(points):
        better = [
            other
            for other in range(len(points))
            if costs[other] <= cost
            and values[other] >= value
            and (costs[other], values[other]) != (cost, value)
        ]
        if place in line:
            assert not better
        else:
            assert better or any(points[other] == points[place] for other in line)


def test_operators_are_called_by_their_layer() -> None:
    tflite = "net_1/backbone_1/block_1_add_1/Add;net_1/backbone_1/other/Relu6"
    assert short_name(tflite, "ADD") == "block_1_add"
    assert short_name("019_block_2_add_Add", "Add") == "block_2_add"
    assert short_name("StatefulPartitionedCall:0", "MEAN") == "StatefulPartitionedCall:0"
