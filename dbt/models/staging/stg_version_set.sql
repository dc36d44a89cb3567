select sha256 as version_set_sha256, kept_from from {{ source("raw", "version_set") }}
