-- A row while another store is being copied into this one: no server uses half of it. With the last record of the last
-- page that was added.
CREATE TABLE unfinished_copy (
    source TEXT NOT NULL,
    kind   TEXT,
    last   BLOB
) STRICT;

-- From here on 'meta' may hold 'origins': five bytes for each of the nodes that minted the ids of what was copied here, in
-- order. Row numbers are then seconds << 31 | place of the origin << 24 | counter.
