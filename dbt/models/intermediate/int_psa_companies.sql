{#
    The companies whose customer is known, in each drafted period, with the date their PSA was last read: that of the
    sources that ever listed something of it, and for a PSA nobody has listed yet the latest of any.
#}
with
    comparison_files as (select * from {{ ref("int_comparison_files") }} where feed = 'psa_additions'),

    psa_sources as (select distinct psa, source from {{ ref("stg_psa_additions") }}),

    psa_companies as (select * from {{ ref("stg_psa_companies") }}),

    dates as (
        select
            comparison_files.period,
            comparison_files.distributor_id,
            psa_sources.psa,
            max(comparison_files.counted_on) as counted_on
        from comparison_files
        inner join psa_sources on comparison_files.source = psa_sources.source
        group by comparison_files.period, comparison_files.distributor_id, psa_sources.psa
        union all
        select
            comparison_files.period,
            comparison_files.distributor_id,
            unlisted.psa,
            max(comparison_files.counted_on) as counted_on
        from comparison_files
        cross join
            (
                select distinct psa_companies.psa
                from psa_companies
                anti join psa_sources on psa_companies.psa = psa_sources.psa
            ) as unlisted
        group by comparison_files.period, comparison_files.distributor_id, unlisted.psa
    )

select
    dates.period, dates.distributor_id, dates.psa, psa_companies.company_id, psa_companies.customer_id, dates.counted_on
from dates
inner join psa_companies on dates.psa = psa_companies.psa and {{ valid_on("psa_companies", "dates.counted_on") }}
