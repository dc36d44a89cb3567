{# Discrepancies about who is billed and how: transfers, programmes, licences (R11, R14–R16). #}
with
    transfers as (select * from {{ ref("int_unapproved_transfers") }}),

    customer_partners as (select * from {{ ref("int_customer_partners") }}),

    partners as (
        select partner_id, distributor_id
        from {{ ref("int_partners") }}
        qualify row_number() over (partition by partner_id order by valid_from desc) = 1
    ),

    blocks as (select * from {{ ref("int_billing_blocks") }}),

    roster as (select * from {{ ref("int_roster") }}),

    list_prices as (select * from {{ ref("int_list_prices") }}),

    quantities as (select * from {{ ref("int_quantities") }}),

    licences as (select * from {{ ref("int_licences_in_period") }} where is_of_record),

    customers as (select * from {{ ref("int_customers_of_period") }}),

    periods as (select * from {{ ref("int_billing_periods") }}),

    closures as (select * from {{ ref("int_customer_closures") }} where cause = 'vanished'),

    programmes as (select * from {{ ref("stg_programmes") }}),

    conflicts as (select * from {{ ref("int_registry_conflicts") }}),

    active_by_product as (
        select period, distributor_id, customer_id, product_code, count(*) as units
        from roster
        where is_active
        group by period, distributor_id, customer_id, product_code
    ),

    {# One row per distributor concerned; the other side is named only to its own. #}
    transfer_sides as (
        select transfers.*, transfers.to_partner_id as partner_id, partners.distributor_id
        from transfers
        inner join partners on transfers.to_partner_id = partners.partner_id
        union all
        select transfers.*, transfers.from_partner_id as partner_id, partners.distributor_id
        from transfers
        inner join partners on transfers.from_partner_id = partners.partner_id
        where
            not exists (
                select 1
                from partners as receiving
                where
                    receiving.partner_id = transfers.to_partner_id
                    and receiving.distributor_id = partners.distributor_id
            )
    ),

    billed_of_customer as (
        select quantities.period, quantities.customer_id, sum(quantities.quantity * list_prices.list_price) as stake
        from quantities
        inner join
            list_prices
            on quantities.period = list_prices.period
            and quantities.distributor_id = list_prices.distributor_id
            and quantities.product_code = list_prices.product_code
        group by quantities.period, quantities.customer_id
    ),

    unapproved_transfer as (
        select
            'unapproved_transfer' as kind,
            'blocking' as severity,
            transfer_sides.period,
            transfer_sides.distributor_id,
            transfer_sides.partner_id,
            transfer_sides.customer_id,
            cast(null as string) as product_code,
            '' as subject,
            transfer_sides.expected,
            concat_ws(
                '', 'customer changed partner on ', transfer_sides.changed_on, ' without all three approvals'
            ) as found,
            billed_of_customer.stake,
            cast(null as bigint) as units,
            'customers and transfers snapshots' as evidence,
            'Have the missing approval recorded in the transfers feed, or waive: bill (new partner) or exclude (old partner).'
            as action,
            transfer_sides.discrepancy_id
        from transfer_sides
        inner join
            periods on transfer_sides.period = periods.period and transfer_sides.distributor_id = periods.distributor_id
        left join
            billed_of_customer
            on transfer_sides.period = billed_of_customer.period
            and transfer_sides.customer_id = billed_of_customer.customer_id
    ),

    blocked_licences as (
        select
            blocks.kind,
            'blocking' as severity,
            blocks.period,
            blocks.distributor_id,
            blocks.partner_id,
            blocks.customer_id,
            blocks.product_code,
            '' as subject,
            blocks.expected,
            blocks.found,
            coalesce(active_by_product.units, 0) * list_prices.list_price as stake,
            cast(null as bigint) as units,
            'licences and partners snapshots' as evidence,
            case
                blocks.kind
                when 'monthly_outside_flex'
                then 'Move the partner to Connect Flex or end the monthly licence, or waive: bill or exclude.'
                when 'excluded_territory'
                then 'Correct the partner''s country or end the licence, or waive: bill or exclude.'
                else 'Register the customers under the parent partner, or waive: bill or exclude.'
            end as action,
            blocks.discrepancy_id
        from blocks
        left join
            active_by_product
            on blocks.period = active_by_product.period
            and blocks.distributor_id = active_by_product.distributor_id
            and blocks.customer_id = active_by_product.customer_id
            and blocks.product_code = active_by_product.product_code
        left join
            list_prices
            on blocks.period = list_prices.period
            and blocks.distributor_id = list_prices.distributor_id
            and blocks.product_code = list_prices.product_code
    ),

    {# A trial that is still in effect on the cut-off and started more than trial_days before it. #}
    stale_trial as (
        select
            'stale_trial' as kind,
            'warning' as severity,
            licences.period,
            licences.distributor_id,
            customers.partner_id,
            licences.customer_id,
            licences.product_code,
            licences.licence_id as subject,
            concat_ws('', 'converted within ', periods.trial_days, ' days') as expected,
            concat_ws('', 'trial ', licences.licence_id, ' since ', licences.starts_on) as found,
            coalesce(active_by_product.units, 0) * list_prices.list_price as stake,
            cast(null as bigint) as units,
            'licences snapshot' as evidence,
            'Convert the trial to monthly or term, or end it.' as action,
            cast(null as string) as discrepancy_id
        from licences
        inner join periods on licences.period = periods.period and licences.distributor_id = periods.distributor_id
        inner join
            customers
            on licences.period = customers.period
            and licences.distributor_id = customers.distributor_id
            and licences.customer_id = customers.customer_id
        left join
            active_by_product
            on licences.period = active_by_product.period
            and licences.distributor_id = active_by_product.distributor_id
            and licences.customer_id = active_by_product.customer_id
            and licences.product_code = active_by_product.product_code
        left join
            list_prices
            on licences.period = list_prices.period
            and licences.distributor_id = list_prices.distributor_id
            and licences.product_code = list_prices.product_code
        where
            licences.licence_type = 'trial'
            and licences.in_effect_to = periods.cutoff_on
            and {{ days_between("licences.starts_on", "periods.cutoff_on") }} > periods.trial_days
    ),

    {# A licence whose row changed during the period was bought once: its last row says how much. #}
    term_licences as (
        select *
        from licences
        where licence_type = 'term' and quantity is not null and serial_number is null
        qualify
            row_number() over (
                partition by period, distributor_id, customer_id, product_code, licence_id order by in_effect_to desc
            )
            = 1
    ),

    term_overuse as (
        select
            'term_overuse' as kind,
            'warning' as severity,
            licences.period,
            licences.distributor_id,
            any_value(customers.partner_id) as partner_id,
            licences.customer_id,
            licences.product_code,
            '' as subject,
            concat_ws('', 'at most ', sum(licences.quantity)) as expected,
            concat_ws('', any_value(active_by_product.units), ' active units') as found,
            (any_value(active_by_product.units) - sum(licences.quantity)) * any_value(list_prices.list_price) as stake,
            any_value(active_by_product.units) - sum(licences.quantity) as units,
            'licences snapshot and roster' as evidence,
            'Have the customer buy the missing quantity.' as action,
            cast(null as string) as discrepancy_id
        from term_licences as licences
        inner join
            customers
            on licences.period = customers.period
            and licences.distributor_id = customers.distributor_id
            and licences.customer_id = customers.customer_id
        inner join
            active_by_product
            on licences.period = active_by_product.period
            and licences.distributor_id = active_by_product.distributor_id
            and licences.customer_id = active_by_product.customer_id
            and licences.product_code = active_by_product.product_code
        left join
            list_prices
            on licences.period = list_prices.period
            and licences.distributor_id = list_prices.distributor_id
            and licences.product_code = list_prices.product_code
        group by licences.period, licences.distributor_id, licences.customer_id, licences.product_code
        having any_value(active_by_product.units) > sum(licences.quantity)
    ),

    {# However many distributors the customers belong to: each is told the number of all of them. #}
    shared_term_licences as (
        select period, product_code, licence_id, count(distinct customer_id) as customers
        from licences
        where licence_type = 'term'
        group by period, product_code, licence_id
        having count(distinct customer_id) > 1
    ),

    term_licence_shared as (
        select
            'term_licence_shared' as kind,
            'warning' as severity,
            licences.period,
            licences.distributor_id,
            min(customers.partner_id) as partner_id,
            cast(null as string) as customer_id,
            licences.product_code,
            licences.licence_id as subject,
            'one customer' as expected,
            concat_ws(
                '',
                'term licence ',
                licences.licence_id,
                ' at ',
                any_value(shared_term_licences.customers),
                ' customers'
            ) as found,
            cast(0 as decimal(18, 6)) as stake,
            cast(null as bigint) as units,
            'licences snapshot' as evidence,
            'A term licence cannot be shared; buy one per customer.' as action,
            cast(null as string) as discrepancy_id
        from licences
        inner join
            shared_term_licences
            on licences.period = shared_term_licences.period
            and licences.product_code = shared_term_licences.product_code
            and licences.licence_id = shared_term_licences.licence_id
        inner join
            customers
            on licences.period = customers.period
            and licences.distributor_id = customers.distributor_id
            and licences.customer_id = customers.customer_id
        where licences.licence_type = 'term'
        group by licences.period, licences.distributor_id, licences.product_code, licences.licence_id
    ),

    customer_vanished as (
        select
            'customer_vanished' as kind,
            'warning' as severity,
            periods.period,
            periods.distributor_id,
            customers.partner_id,
            customers.customer_id,
            cast(null as string) as product_code,
            '' as subject,
            'a customer closed before it leaves the registry' as expected,
            concat_ws('', 'customer gone from the registry, closed from ', closures.closed_from) as found,
            cast(0 as decimal(18, 6)) as stake,
            cast(null as bigint) as units,
            'customers snapshots' as evidence,
            'Treated as closed. Have the registry say closed, or restore the customer.' as action,
            cast(null as string) as discrepancy_id
        from closures
        inner join customers on closures.customer_id = customers.customer_id and customers.is_of_record
        inner join
            periods
            on customers.period = periods.period
            and customers.distributor_id = periods.distributor_id
            and closures.closed_from between periods.period_starts_on and periods.cutoff_on
    ),

    {# A key that two sources hold concerns whoever has the customer, or the partner. #}
    registry_conflict as (
        select
            'registry_conflict' as kind,
            'warning' as severity,
            periods.period,
            periods.distributor_id,
            min(customers.partner_id) as partner_id,
            min(conflicts.customer_id) as customer_id,
            cast(null as string) as product_code,
            concat_ws('', conflicts.feed, '/', conflicts.key) as subject,
            'one source for each key' as expected,
            concat_ws('', 'in ', max(conflicts.sources), ' until ', max(conflicts.snapshot_date)) as found,
            cast(0 as decimal(18, 6)) as stake,
            cast(null as bigint) as units,
            concat_ws('', conflicts.feed, ' snapshots') as evidence,
            'The later snapshot counts, then the smaller source name. Have one of the sources drop the key.' as action,
            cast(null as string) as discrepancy_id
        from conflicts
        inner join
            customers
            on conflicts.customer_id = customers.customer_id
            or (conflicts.customer_id is null and conflicts.partner_id = customers.partner_id)
        inner join
            periods
            on customers.period = periods.period
            and customers.distributor_id = periods.distributor_id
            and conflicts.snapshot_date between periods.period_starts_on and periods.cutoff_on
        where customers.is_of_record
        group by periods.period, periods.distributor_id, conflicts.feed, conflicts.key
    ),

    legacy_programme_registration as (
        select distinct
            'legacy_programme_registration' as kind,
            'warning' as severity,
            periods.period,
            periods.distributor_id,
            partners.partner_id,
            cast(null as string) as customer_id,
            cast(null as string) as product_code,
            '' as subject,
            concat_ws('', 'no new partner after ', programmes.closed_to_new_on) as expected,
            concat_ws('', 'registered on ', partners.registered_on, ' under ', partners.programme) as found,
            cast(0 as decimal(18, 6)) as stake,
            cast(null as bigint) as units,
            'partners snapshot' as evidence,
            'Register the partner under Connect or Connect Flex.' as action,
            cast(null as string) as discrepancy_id
        from periods
        inner join
            {{ ref("int_partners") }} as partners
            on periods.distributor_id = partners.distributor_id
            and periods.cutoff_on between partners.valid_from and partners.valid_to
        inner join programmes on partners.programme = programmes.programme
        where partners.registered_on > programmes.closed_to_new_on
    )

{% for finding in [
        "unapproved_transfer",
        "blocked_licences",
        "stale_trial",
        "term_overuse",
        "term_licence_shared",
        "customer_vanished",
        "registry_conflict",
        "legacy_programme_registration",
    ] -%}
    select *
    from {{ finding }}
    {% if not loop.last %}
        union all
    {% endif %}
{% endfor %}
