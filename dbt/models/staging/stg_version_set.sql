select sha256 as version_set_sha256 from {{ source("raw", "version_set") }}
