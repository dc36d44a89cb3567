{# What the quality marts found, for the gate and the distributor's export. #}
select * from {{ ref("discrepancies") }} where distributor_id is not null
