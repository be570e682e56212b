"""Exact duplicates, by MD5: which copy stays and why the others go."""

from cxr_edge_train.cleaning.inventory import DUPLICATE, KEPT, TWO_LABELS, Inventory

# Of copies in several splits the train copy goes: dropping the test copy would change a published
# test set. `val` joins train later, so between those two it does not matter; train's stays.
_CHOOSE = """
CREATE TABLE originals AS
    SELECT md5, position, path, split, label FROM (
        SELECT *, row_number() OVER (
            PARTITION BY md5
            ORDER BY CASE split WHEN 'test' THEN 0 WHEN 'train' THEN 1 ELSE 2 END, path
        ) AS rank
        FROM files WHERE md5 IS NOT NULL
    ) WHERE rank = 1 ORDER BY position;
CREATE UNIQUE INDEX original_of ON originals (md5);
CREATE INDEX copies ON files (md5);
"""
_TWO_LABELS = f"""
UPDATE files SET state = '{TWO_LABELS}', reason = 'same image under two labels'
WHERE md5 IN (
    SELECT md5 FROM files WHERE md5 IS NOT NULL GROUP BY md5 HAVING count(DISTINCT label) > 1
)
"""
_DUPLICATES = f"""
UPDATE files SET state = '{DUPLICATE}',
    reason = 'duplicate of ' || (SELECT path FROM originals WHERE originals.md5 = files.md5)
WHERE state = '{KEPT}' AND position NOT IN (SELECT position FROM originals)
"""


def leave_out_duplicates(inventory: Inventory) -> None:
    """Leave out all but one copy of each image.

    Every copy of an image that is filed under two labels is left out, since one label must be
    wrong. Otherwise a copy in test is kept rather than one in train, and within a split the first
    by path.

    The table ``originals`` (``md5, position, path, split, label``) then holds one file of each
    different image, including those under two labels, in the order in which they were entered.
    """
    inventory.connection.executescript(_CHOOSE)
    with inventory.connection as transaction:
        transaction.execute(_TWO_LABELS)
        transaction.execute(_DUPLICATES)
