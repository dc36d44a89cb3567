with
    usage_findings as (select * from {{ ref("int_findings_usage") }}),

    registry_findings as (select * from {{ ref("int_findings_registry") }}),

    count_findings as (select * from {{ ref("int_findings_counts") }}),

    correction_findings as (select * from {{ ref("int_findings_corrections") }}),

    feed_findings as (select * from {{ ref("int_findings_feeds") }}),

    volume_findings as (select * from {{ ref("int_findings_volumes") }}),

    name_findings as (select * from {{ ref("int_findings_names") }}),

    device_findings as (select * from {{ ref("int_findings_devices") }}),

    periods as (select * from {{ ref("int_billing_periods") }}),

    distributors as (select * from {{ ref("stg_distributors") }}),

    currencies as (select * from {{ ref("stg_currencies") }}),

    waivers as (select * from {{ ref("stg_waivers") }}),

    findings as (
        select *
        from registry_findings
        {% for found in [
                "usage_findings",
                "count_findings",
                "correction_findings",
                "feed_findings",
                "volume_findings",
                "name_findings",
                "device_findings",
            ] %}
            union all
            select *, cast(null as string) as discrepancy_id
            from {{ found }}
        {% endfor %}
    ),

    identified as (
        select
            coalesce(
                findings.discrepancy_id,
                {{
                    discrepancy_id(
                        "findings.kind",
                        "findings.period",
                        [
                            "findings.distributor_id",
                            "findings.partner_id",
                            "findings.customer_id",
                            "findings.product_code",
                            "findings.subject",
                        ],
                        "findings.expected",
                        "findings.found",
                    )
                }}
            ) as discrepancy_id,
            findings.* except (discrepancy_id),
            distributors.currency,
            coalesce(currencies.minor_units, 2) as minor_units
        from findings
        left join periods on findings.period = periods.period and findings.distributor_id = periods.distributor_id
        left join
            distributors
            on periods.distributor_id = distributors.distributor_id
            and {{ valid_on("distributors", "periods.cutoff_on") }}
        left join currencies on distributors.currency = currencies.currency
    )

select
    identified.discrepancy_id,
    identified.period,
    identified.kind,
    identified.severity,
    identified.distributor_id,
    identified.partner_id,
    identified.customer_id,
    identified.product_code,
    identified.subject,
    identified.expected,
    identified.found,
    {{ round_to_minor_units("cast(identified.stake as decimal(30, 6))", "identified.minor_units") }} as amount_at_stake,
    identified.currency,
    cast(coalesce(identified.units, 1) as bigint) as units,
    identified.evidence,
    identified.action,
    case when waivers.discrepancy_id is not null then 'waived' else 'open' end as state,
    waivers.decision,
    waivers.decided_by,
    waivers.reason as waiver_reason
from identified
left join waivers on identified.discrepancy_id = waivers.discrepancy_id
