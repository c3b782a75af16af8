#include "proxy/fronts/http/types.h"

#include <stddef.h>

/* Those that are not text. Vectors (int2vector, oidvector) look like "1 2 3" and are text. */
static const struct {
    uint32_t oid, array;
    enum types_kind kind;
} scalars[] = {
    {16, 1000, TYPES_BOOL},    {20, 1016, TYPES_BIG},   {21, 1005, TYPES_NUMBER},
    {23, 1007, TYPES_NUMBER},  {114, 199, TYPES_JSON},  {700, 1021, TYPES_NUMBER},
    {701, 1022, TYPES_NUMBER}, {1700, 1231, TYPES_BIG}, {3802, 3807, TYPES_JSON},
};

/* Arrays of those that are, sorted. */
static const uint16_t arrays_of_texts[] = {
    143,                          /* xml */
    210,  270,  271,  272,  273,  /* pg_type, pg_attribute, xid8, pg_proc, pg_class */
    629,  651,  719,  775,  791,  /* line, cidr, circle, macaddr8, money */
    1001, 1002, 1003, 1006, 1008, /* bytea, "char", name, int2vector, regproc */
    1009, 1010, 1011, 1012, 1013, /* text, tid, xid, cid, oidvector */
    1014, 1015, 1017, 1018, 1019, /* bpchar, varchar, point, lseg, path */
    1027, 1028, 1034, 1040, 1041, /* polygon, oid, aclitem, macaddr, inet */
    1115, 1182, 1183, 1185, 1187, /* timestamp, date, time, timestamptz, interval */
    1263, 1270, 1561, 1563,       /* cstring, timetz, bit, varbit */
    2201, 2207, 2208, 2209, 2210, /* refcursor, regprocedure, regoper, regoperator, regclass */
    2211, 2949, 2951, 3221,       /* regtype, txid_snapshot, uuid, pg_lsn */
    3643, 3644, 3645, 3735, 3770, /* tsvector, gtsvector, tsquery, regconfig, regdictionary */
    3905, 3907, 3909, 3911, 3913, /* ranges: int4, num, ts, tstz, date */
    3927, 4073, 4090, 4097, 4192, /* int8range, jsonpath, regnamespace, regrole, regcollation */
    5039, 6150, 6151, 6152, 6153, /* pg_snapshot; multiranges: int4, num, ts, tstz */
    6155, 6157,                   /* date, int8 */
};

enum { ARRAY_OF_BOXES = 1020 }; /* the one whose delimiter is no comma */

struct types_type types_find(uint32_t oid)
{
    for (size_t i = 0; i < COUNT_OF(scalars); i++) {
        if (scalars[i].oid == oid)
            return (struct types_type){(uint8_t)scalars[i].kind, 0};
        if (scalars[i].array == oid)
            return (struct types_type){(uint8_t)scalars[i].kind, ','};
    }
    if (oid == ARRAY_OF_BOXES)
        return (struct types_type){TYPES_TEXT, ';'};
    for (size_t i = 0; i < COUNT_OF(arrays_of_texts) && arrays_of_texts[i] <= oid; i++)
        if (arrays_of_texts[i] == oid)
            return (struct types_type){TYPES_TEXT, ','};
    return (struct types_type){TYPES_TEXT, 0};
}
