{#
    What the PSAs bill in a drafted period: the additions of each source's file that is compared with, under our names
    where there are any. An addition in two sources is one: the later snapshot's, then the smaller source's.
#}
with
    comparison_files as (select * from {{ ref("int_comparison_files") }} where feed = 'psa_additions'),

    additions as (select * from {{ ref("stg_psa_additions") }}),

    psa_companies as (select * from {{ ref("stg_psa_companies") }}),

    psa_products as (select * from {{ ref("stg_psa_products") }}),

    listed as (
        select
            comparison_files.period,
            comparison_files.distributor_id,
            comparison_files.source,
            comparison_files.counted_on,
            additions.psa,
            additions.company_id,
            additions.agreement_id,
            additions.addition_id,
            additions.product_id,
            additions.quantity,
            additions.unit_price
        from comparison_files
        inner join
            additions
            on comparison_files.source = additions.source
            and comparison_files.counted_on = additions.snapshot_date
        qualify
            row_number() over (
                partition by
                    comparison_files.period, comparison_files.distributor_id, additions.psa, additions.addition_id
                order by comparison_files.counted_on desc, additions.source, additions.row_number
            )
            = 1
    )

select
    listed.period,
    listed.distributor_id,
    listed.source,
    listed.counted_on,
    listed.psa,
    listed.company_id,
    listed.agreement_id,
    listed.addition_id,
    listed.product_id,
    listed.quantity,
    listed.unit_price,
    psa_companies.customer_id,
    psa_products.product_code
from listed
left join
    psa_companies
    on listed.psa = psa_companies.psa
    and listed.company_id = psa_companies.company_id
    and {{ valid_on("psa_companies", "listed.counted_on") }}
left join
    psa_products
    on listed.psa = psa_products.psa
    and listed.product_id = psa_products.product_id
    and {{ valid_on("psa_products", "listed.counted_on") }}
